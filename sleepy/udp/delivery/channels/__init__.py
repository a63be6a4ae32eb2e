"""The four ways in which messages may arrive: a module for the reliable two, one for the unreliable two."""
