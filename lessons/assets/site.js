/* Three small kindnesses that Material leaves out. */

// A dialog needs a name, or a screen reader announces only "dialog".
document.querySelector(".md-search")?.setAttribute("aria-label", "Search")

// A table that is wider than the page scrolls, so the keyboard must be able to get there.
const widths = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0
    else target.removeAttribute("tabindex")
  }
})
addEventListener("load", () => {
  for (const wrap of document.querySelectorAll(".md-typeset__scrollwrap")) widths.observe(wrap)
})

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
