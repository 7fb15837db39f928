import { once } from 'node:events'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { withFault } from './bin.ts'
import { root } from './root.ts'
import { spawnServer, type Answer, type ServerProcess, type Settings } from './server.ts'
import { until } from './waiting.ts'

const built = pathToFileURL(join(root, 'dist/')).href

interface Coverage { result: { url: string, functions: { ranges: { count: number }[] }[] }[] }

export interface CountedServer extends ServerProcess {
  /** The files of src of which a function runs for a request, until it is logged. */
  executedBy (request: () => Promise<Answer>): Promise<Set<string>>
}

/**
 * A server whose calls V8 counts. In a process of its own, because reading the counts resets them, and with them the
 * coverage of the run. Its clock stands still, because requests that are more than a second apart also read the keys.
 */
export async function startCounted (t: Test, settings: Settings): Promise<CountedServer> {
  const { NODE_OPTIONS } = withFault('performance.now = () => 0')
  const server = await spawnServer(t, { ...settings, NODE_OPTIONS: `--inspect=127.0.0.1:0 ${NODE_OPTIONS}` })
  let log = ''
  const { stdout, stderr } = server.child as { stdout: Readable, stderr: Readable }
  stdout.setEncoding('utf8').on('data', text => { log += text })
  const [told] = await once(stderr.setEncoding('utf8'), 'data')
  const socket = new WebSocket(/ws:\S+/.exec(told)?.[0] ?? '')
  t.teardown(() => socket.terminate())
  await once(socket, 'open')

  let calls = 0
  async function call (method: string, params = {}): Promise<unknown> {
    socket.send(JSON.stringify({ id: ++calls, method, params }))
    const [answer] = await once(socket, 'message')
    return JSON.parse(answer).result
  }
  await call('Profiler.enable')
  await call('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  const take = () => call('Profiler.takePreciseCoverage') as Promise<Coverage>

  async function executedBy (request: () => Promise<Answer>): Promise<Set<string>> {
    await take()
    const { headers } = await request()
    await until(() => log.includes(String(headers['x-request-id'])))
    const { result } = await take()
    const executed = result.filter(({ functions }) => functions.some(({ ranges }) => Number(ranges[0]?.count) > 0))
    const files = executed.map(({ url }) => url).filter(url => url.startsWith(built))
    return new Set(files.map(url => url.slice(built.length).replace(/\.js$/, '.ts')).sort())
  }
  return { ...server, executedBy }
}
