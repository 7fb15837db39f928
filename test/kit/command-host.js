import { Readable } from 'node:stream'

// Runs one command of the bin after the other in this process, for commands.ts. A process of its own for each command
// takes 0.4 s of CPU, most of it for loading the server's code. Plain JavaScript, because the bin has no loader.
//
// The bin is imported anew for each command. A command is over when it ends the process, or when nothing is left to
// wait for: then Node.js emits `beforeExit`.

const bin = new URL('../../dist/main.js', import.meta.url).href
let commands = 0
/** @type {{ stdout: string, stderr: string } | undefined} */
let output

for (const name of /** @type {const} */ (['stdout', 'stderr'])) {
  process[name].setMaxListeners(0)
  process[name].write = chunk => {
    if (output !== undefined) output[name] += chunk
    return true
  }
}

/** @param {unknown} code */
function end (code) {
  if (output === undefined) return
  process.send?.({ code, ...output })
  output = undefined
  process.exitCode = undefined
  process.channel?.ref()
}

const { exit } = process
process.exit = code => /** @type {never} */ (setImmediate(end, code))
process.on('beforeExit', () => end(process.exitCode ?? 0))
process.on('disconnect', () => exit(0))
process.on('message', (/** @type {{ args: string[], settings: Record<string, string>, input: string }} */ command) => {
  output = { stdout: '', stderr: '' }
  process.channel?.unref()
  process.argv = [process.execPath, bin, ...command.args]
  for (const name of Object.keys(process.env)) delete process.env[name]
  Object.assign(process.env, command.settings)
  Object.defineProperty(process, 'stdin', { value: Readable.from([Buffer.from(command.input, 'base64')]), configurable: true })
  import(`${bin}?${++commands}`)
})
