"""Contrast on every page, judged by axe once for each kind of text.

Axe spends two thirds of its time on contrast, and judges the same few dozen pairs of colours again on each page of a site.
What its verdict depends on can be said in advance, and is the *kind* of a text: its colour, size and weight, the grounds
below it, their opacity, and for a link the colour of the text around it.

Rules:

1. Every visible text of every page has a kind. Of each kind that is new one is given to axe. (Not single characters, nor
   text in pictures, on which axe never gives a verdict.)
2. A kind counts as judged if axe passed or failed it. What it could not decide, because something lies over it, is given to
   it again on the next pages, up to `TRIES` times.
"""

from collections import Counter
from typing import Any

from tests.browser import axe_playwright, bring_axe, sync_api

RULES = ("color-contrast", "link-in-text-block")
TRIES = 5

MARK = """judged => {
  const known = new Set(judged)
  const grounds = new Map([[null, []]])
  const ground = element => {
    if (!grounds.has(element)) {
      const { backgroundColor: colour, backgroundImage: image, opacity } = getComputedStyle(element)
      const below = ground(element.parentElement)
      const plain = image === "none" && opacity === "1"
      if (plain && colour === "rgba(0, 0, 0, 0)") {
        grounds.set(element, below)
      } else {
        const own = { faded: opacity !== "1", text: `${colour} ${image} ${opacity}` }
        const covers = plain && colour.startsWith("rgb(")
        grounds.set(element, [own, ...(covers ? below.filter(one => one.faded) : below)])
      }
    }
    return grounds.get(element)
  }
  const has = node => node.nodeType === Node.TEXT_NODE && node.nodeValue.trim().length > 1
  for (const element of document.querySelectorAll("body *:not(svg *)")) {
    delete element.dataset.kind
    delete element.dataset.judge
    const visible = element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    if (!visible || ![...element.childNodes].some(has)) continue
    const { color, fontSize, fontWeight, textShadow, textDecorationLine } = getComputedStyle(element)
    const link = element.closest("a[href]")
    const around = link ? `link ${textDecorationLine} in ${getComputedStyle(link.parentElement).color}` : ""
    const below = ground(element).map(one => one.text).join(" on ")
    const kind = [color, fontSize, fontWeight, textShadow, around, below].join(" / ")
    element.dataset.kind = kind
    if (known.has(kind)) continue
    known.add(kind)
    element.dataset.judge = ""
  }
  return document.querySelectorAll("[data-judge]").length
}"""

JUDGE = """async rules => {
  const options = { resultTypes: ["violations", "passes"], runOnly: { type: "rule", values: rules } }
  const found = await axe.run({ include: [["[data-judge]"]] }, options)
  const verdicts = [...found.passes, ...found.violations].filter(result => result.id === "color-contrast")
  const elements = verdicts.flatMap(result => result.nodes).map(node => document.querySelector(node.target[0]))
  const kinds = elements => elements.map(element => element?.dataset.kind).filter(Boolean)
  return { found, judged: kinds(elements), given: kinds([...document.querySelectorAll("[data-judge]")]) }
}"""


class Colours:
    """Remembers what has been judged."""

    def __init__(self) -> None:
        self.judged: set[str] = set()
        self.tries: Counter[str] = Counter()

    def violations(self, page: sync_api.Page) -> str:
        """What axe finds wrong with the kinds of text that are new on a page as it stands; empty if nothing."""
        done = self.judged | {kind for kind, tries in self.tries.items() if tries >= TRIES}
        if not page.evaluate(MARK, sorted(done)):
            return ""
        bring_axe(page)
        answer: dict[str, Any] = page.evaluate(JUDGE, RULES)
        self.judged.update(answer["judged"])
        self.tries.update(answer["given"])
        results = axe_playwright.AxeResults(answer["found"])
        return results.generate_report() if results.violations_count else ""
