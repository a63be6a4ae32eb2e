"""How much may be under way? A module for each answer, all behind `sleepy.udp.path.congestion.control.Controller`."""
