/* Two small kindnesses that Material leaves out. */

// A dialog needs a name, or a screen reader announces only "dialog".
document.querySelector(".md-search")?.setAttribute("aria-label", "Search")

// On paper nothing can be opened: print what is folded, and fold it again.
const folded = new Set()
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details:not([open])")) {
    folded.add(details)
    details.open = true
  }
})
addEventListener("afterprint", () => {
  for (const details of folded) details.open = false
  folded.clear()
})
