/* Python in a worker of its own, for one diagram: boots Pyodide from the site's own files, opens a scenario, and carries out
   the page's orders one by one. It is ended by being terminated. */

const here = new URL("./pyodide/", import.meta.url)
const tell = (message) => postMessage(message)

async function open(lesson) {
  const answer = await fetch(new URL("sizes.json", here), { cache: "no-cache" })
  if (!answer.ok) {
    throw new Error("This copy of the site was built without Python for the page. Build it with “make site” where npm can fetch Pyodide.")
  }
  const sizes = await answer.json()
  count(Object.values(sizes).reduce((sum, size) => sum + size, 0))
  const { loadPyodide } = await import(new URL("pyodide.mjs", here))
  const pyodide = await loadPyodide({ indexURL: here.href })
  const sources = await fetch(new URL("sources.zip", here), { cache: "no-cache" })
  if (!sources.ok) throw new Error(`The sources could not be fetched: ${sources.status} ${sources.statusText}.`)
  pyodide.unpackArchive(await sources.arrayBuffer(), "zip", { extractDir: "/sleepy" })
  tell({ doing: "Opening the scenario" })
  pyodide.globals.set("lesson", lesson)
  return pyodide.runPython(`
import json, sys
sys.path.insert(0, "/sleepy")
from lessons.playground.stage import Stage, load
stage = Stage(load(lesson))
stage`)
}

/* Everything that is fetched passes here, and is counted: a few megabytes deserve a bar. */
function count(total) {
  let got = 0
  let told = 0
  const plain = self.fetch
  self.fetch = async (...request) => {
    const answer = await plain(...request)
    if (!answer.body) return answer
    const counted = new TransformStream({
      transform(chunk, out) {
        got += chunk.length
        if (got - told > 200_000) {
          told = got
          tell({ doing: "Fetching Python", share: Math.min(got / total, 1) })
        }
        out.enqueue(chunk)
      },
    })
    return new Response(answer.body.pipeThrough(counted), answer)
  }
}

let stage
onmessage = async ({ data }) => {
  try {
    if (data.open) {
      stage = await open(data.open)
      tell({ programme: JSON.parse(stage.programme()), shown: JSON.parse(stage.obey('{"do": "show"}')) })
    } else {
      tell({ shown: JSON.parse(stage.obey(JSON.stringify(data))) })
    }
  } catch (error) {
    // Of a traceback the last line says what happened.
    const lines = String(error.message ?? error).trim().split("\n")
    tell({ failed: lines[lines.length - 1] })
  }
}
