/* <sleepy-play src="udp/01-acks-by-the-dozen">: a diagram to play with.

   Inside it stands a still picture, which is all there is without scripts. "Run it" boots Python in a worker (play-worker.mjs),
   which runs the lesson's scenario and draws each step; here the drawings are put in place and the reader's wishes passed on.
   A classic script, so that even a page opened as a file can say why it cannot run. */

;(() => {
  const assets = document.currentScript.src
  const TWEEN = 260 // milliseconds
  const calm = matchMedia("(prefers-reduced-motion: reduce)")

  /* An element with attributes and children; the only way elements are made here. */
  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag)
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value)
      else if (value === true) element.setAttribute(name, "")
      else if (value !== false) element.setAttribute(name, value)
    }
    element.append(...children)
    return element
  }

  class SleepyPlay extends HTMLElement {
    #worker = null
    #timer = 0
    #playing = false
    #pace = 2 // steps a second
    #busy = false // an order is with the worker
    #programme = null

    connectedCallback() {
      if (this.#worker || this.querySelector(".play-bar")) return
      this.setAttribute("role", "group")
      this.setAttribute("aria-label", `Diagram to play with: ${this.getAttribute("label")}`)
      this.view = this.querySelector(".play-view")
      this.querySelector(".play-still")?.remove()
      const button = (name, text, does, key) =>
        make("button", { type: "button", class: `play-${name}`, onclick: does, ...(key && { "aria-keyshortcuts": key }) }, text)
      this.buttons = {
        run: button("run", "Run it", () => this.run()),
        step: button("step", "Step", () => this.step(), "s"),
        play: button("play", "Play", () => (this.#playing ? this.pause() : this.play()), "p"),
        reset: button("reset", "Reset", () => this.order({ do: "reset" }), "r"),
        stop: button("stop", "Stop", () => this.stop("Stopped."), "x"),
      }
      this.bar = make("div", { class: "play-bar" }, ...Object.values(this.buttons))
      this.status = make("p", { class: "play-status", role: "status" })
      this.progress = make("progress", { max: 1, "aria-label": "Fetching Python", hidden: true })
      this.controls = make("div", { class: "play-controls", hidden: true })
      this.log = make("div", { class: "play-log", role: "group", "aria-label": "What happened", tabindex: 0, hidden: true })
      this.actions = make("div", { class: "play-bar play-actions", hidden: true })
      this.prepend(make("div", { class: "play-head" }, this.bar, this.actions, this.status, this.progress))
      this.append(this.log, this.controls)
      this.addEventListener("click", (event) => {
        const pressed = event.target.closest("[data-act]")
        if (pressed && this.#worker) this.order({ do: "act", name: pressed.dataset.act, value: pressed.dataset.value ?? "" })
      })
      this.addEventListener("keydown", (event) => this.#key(event))
      this.#arrange()
      this.say("It runs the library itself, in this page: 14 MB to fetch the first time.")
    }

    disconnectedCallback() {
      this.stop("")
    }

    /* --- life -------------------------------------------------------------------------------------------------------- */

    run() {
      if (location.protocol === "file:") {
        return this.#fail("A page opened as a file cannot run Python. Serve the site: “make serve” does, on this machine only.")
      }
      if (typeof WebAssembly !== "object" || typeof Worker !== "function") {
        return this.#fail("This browser has no WebAssembly, or no workers; the diagram needs both to run Python.")
      }
      this.#worker = new Worker(new URL("play-worker.mjs", assets), { type: "module" })
      this.#worker.onmessage = ({ data }) => this.#hear(data)
      this.#worker.onerror = (event) => this.#fail(`Python could not be started: ${event.message || "the worker did not load"}.`)
      this.#worker.postMessage({ open: this.getAttribute("src") })
      this.progress.removeAttribute("value")
      this.#arrange()
      this.say("Fetching Python")
      this.buttons.stop.focus()
    }

    stop(why) {
      this.pause()
      this.#worker?.terminate()
      this.#worker = this.#programme = null
      this.#busy = false
      const mine = this.contains(document.activeElement)
      this.#arrange()
      this.say(why)
      if (mine) this.buttons.run.focus()
    }

    #fail(why) {
      this.stop(why)
      this.setAttribute("data-failed", "")
    }

    #hear(message) {
      if (message.failed) return this.#fail(message.failed)
      if (message.doing) {
        if (message.share) this.progress.value = message.share
        return this.say(message.doing)
      }
      if (message.programme) this.#open(message.programme)
      if (message.shown) this.#show(message.shown)
    }

    #open(programme) {
      this.#programme = programme
      this.removeAttribute("data-failed")
      const buttons = programme.controls.filter((control) => control.kind === "button")
      const turned = programme.controls.filter((control) => control.kind !== "button")
      this.actions.replaceChildren(
        ...buttons.map(({ name, label }) => make("button", { type: "button", "data-act": name }, label)),
      )
      this.controls.replaceChildren(...turned.map((control) => this.#control(control)), this.#paceControl())
      this.say("Ready. Keys: s steps, p plays and pauses, r resets, x stops.")
      const mine = this.contains(document.activeElement)
      this.#arrange()
      if (mine) this.buttons.step.focus()
    }

    /* Shows what can be used now. */
    #arrange() {
      const ready = Boolean(this.#programme)
      this.buttons.run.hidden = Boolean(this.#worker)
      this.buttons.stop.hidden = !this.#worker
      for (const name of ["step", "play", "reset"]) this.buttons[name].hidden = !ready
      this.buttons.play.textContent = this.#playing ? "Pause" : "Play"
      this.progress.hidden = !this.#worker || ready
      this.controls.hidden = this.actions.hidden = this.log.hidden = !ready
      for (const drop of this.view.querySelectorAll("button[data-act]")) drop.disabled = !ready
      this.setAttribute("data-state", ready ? (this.#playing ? "playing" : "ready") : this.#worker ? "booting" : "still")
    }

    say(text) {
      if (this.status.textContent !== text) this.status.textContent = text
    }

    /* --- orders ------------------------------------------------------------------------------------------------------ */

    order(what) {
      if (this.#programme) {
        this.#busy = true
        this.#worker.postMessage(what)
      }
    }

    step() {
      if (!this.#busy) this.order({ do: "step" })
    }

    play() {
      if (!this.#programme) return
      this.#playing = true
      this.status.setAttribute("aria-live", "off") // or it would be read out without end
      this.#arrange()
      this.step()
    }

    pause() {
      clearTimeout(this.#timer)
      this.#playing = false
      this.status?.setAttribute("aria-live", "polite")
      if (this.view) this.#arrange()
    }

    #key(event) {
      if (event.ctrlKey || event.altKey || event.metaKey) return
      const does = { s: "step", p: "play", r: "reset", x: "stop" }[event.key.toLowerCase()]
      const button = this.buttons[does]
      if (!button || button.hidden) return
      button.click()
      event.preventDefault()
      event.stopPropagation() // the site has keys of its own
    }

    /* --- controls ---------------------------------------------------------------------------------------------------- */

    #control(control) {
      if (control.kind === "switch") {
        const input = make("input", {
          type: "checkbox",
          onchange: () => this.order({ do: "change", name: control.name, value: Number(input.checked) }),
        })
        return make("label", { class: "play-switch" }, input, control.label)
      }
      return this.#slider(control, (value) => this.order({ do: "change", name: control.name, value }))
    }

    #paceControl() {
      const pace = { name: "pace", label: "Play, steps a second", low: 1, high: 20, step: 1, value: this.#pace, unit: "" }
      return this.#slider(pace, (value) => (this.#pace = value))
    }

    #slider({ name, label, low, high, step, value, unit }, changed) {
      const output = make("output", {})
      const input = make("input", { type: "range", name, min: low, max: high, step, value })
      const write = () => {
        output.textContent = `${input.value} ${unit}`.trim()
        input.setAttribute("aria-valuetext", output.textContent)
      }
      input.addEventListener("input", write)
      input.addEventListener("change", () => changed(Number(input.value)))
      write()
      return make("label", { class: "play-slider" }, make("span", {}, label, " ", output), input)
    }

    /* --- drawing ----------------------------------------------------------------------------------------------------- */

    #show(shown) {
      this.#busy = false
      const before = new Map([...this.view.querySelectorAll("g[data-key]")].map((one) => [one.dataset.key, this.#place(one)]))
      const focused = this.view.contains(document.activeElement) && document.activeElement.dataset.key
      const open = [...this.view.querySelectorAll("details")].map((one) => one.open)
      this.view.innerHTML = shown.html // drawn by our own program, which escapes whatever it is given
      this.view.querySelectorAll("details").forEach((one, index) => (one.open = open[index] ?? false))
      if (focused) this.#refocus(focused)
      if (!calm.matches) this.#tween(before)
      this.log.replaceChildren(...shown.log.map((line) => make("p", {}, line)))
      this.log.scrollTop = this.log.scrollHeight
      if (shown.log.length) this.say(shown.log[shown.log.length - 1])
      this.shown = shown
      this.setAttribute("data-steps", shown.steps)
      if (shown.done) this.pause()
      if (this.#playing) {
        clearTimeout(this.#timer)
        this.#timer = setTimeout(() => this.step(), 1000 / this.#pace)
      }
    }

    /* A packet in the air had the focus; if it is gone, the next one has it, or the button that steps on. */
    #refocus(key) {
      const there = this.view.querySelector(`button[data-key="${CSS.escape(key)}"]`) ?? this.view.querySelector("button[data-key]")
      ;(there ?? this.buttons.step).focus()
    }

    #place(group) {
      const { e, f } = group.transform.baseVal.consolidate().matrix
      return `translate(${e}px, ${f}px)`
    }

    #tween(before) {
      const duration = Math.min(TWEEN, this.#playing ? 900 / this.#pace : TWEEN)
      for (const group of this.view.querySelectorAll("g[data-key]")) {
        const from = before.get(group.dataset.key)
        const to = this.#place(group)
        if (from && from !== to) group.animate([{ transform: from }, { transform: to }], { duration, easing: "ease-out" })
      }
    }
  }

  customElements.define("sleepy-play", SleepyPlay)
})()
