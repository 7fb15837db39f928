import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'
import { startProcess, type ServerProcess } from './server-process.ts'

/**
 * What befalls a transfer when so many bytes have gone from the client to the server. `restart` stops the server as an
 * operator does.
 */
export interface Mishap { readonly atBytes: number, readonly kind: 'cut' | 'kill' | 'restart' }

/** A server whose clients reach it over a wire that is cut, and that is killed and started again. */
export interface RoughServer {
  /** Of the wire: it stays when the server is started again. */
  readonly url: string
  /** Bytes that clients sent. */
  readonly sent: number
  /** The mishaps that are still to come. */
  readonly mishaps: Mishap[]
}

/**
 * Starts a server on `dataDir` behind such a wire; `origin` may call it from a browser. More `settings` are lines such
 * as `LINKS=on`.
 */
export async function startRoughServer (
  t: Test, dataDir: string, origin: string, settings: string[] = []
): Promise<RoughServer> {
  const sockets = new Set<Socket>()
  const start = () => startProcess(dataDir, ['env', `CORS_ORIGINS=${origin}`, ...settings])
  let server: Promise<ServerProcess> = start()
  const rough = { url: '', sent: 0, mishaps: [] as Mishap[] }

  function cut (): void {
    for (const socket of sockets) socket.destroy()
  }

  async function restart (running: ServerProcess, signal: NodeJS.Signals): Promise<ServerProcess> {
    running.child.kill(signal)
    await running.ended
    return start()
  }

  function befall ({ kind }: Mishap): void {
    if (kind === 'restart') {
      server = server.then(running => restart(running, 'SIGTERM'))
      return
    }
    if (kind === 'kill') server = server.then(running => restart(running, 'SIGKILL'))
    cut()
  }

  const wire = createServer(async client => {
    client.on('error', () => {})
    const upstream = connect(Number(new URL((await server).url).port), '127.0.0.1')
    const end = () => { client.destroy(); upstream.destroy() }
    for (const socket of [client, upstream]) sockets.add(socket.on('error', end).on('close', end).on('close', () => sockets.delete(socket)))
    client.on('data', chunk => {
      rough.sent += chunk.length
      const [next] = rough.mishaps
      if (next !== undefined && rough.sent >= next.atBytes) befall(rough.mishaps.shift() as Mishap)
      if (!client.destroyed && !upstream.write(chunk)) client.pause()
    })
    upstream.on('drain', () => client.resume())
    upstream.on('data', chunk => client.write(chunk))
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  t.teardown(async () => {
    wire.close()
    cut()
    const { child, ended } = await server
    child.kill('SIGKILL')
    await ended
  })
  await server
  rough.url = `http://127.0.0.1:${(wire.address() as AddressInfo).port}`
  return rough
}
