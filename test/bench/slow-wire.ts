import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Bytes of one direction that are on their way. A sender that is faster waits. */
const MAX_BYTES = 16 * 1024 * 1024

export interface SlowWire { readonly url: string, close (): void }

/** A way to a port of this machine on which every byte takes `milliseconds`, in each direction. */
export async function openSlowWire (port: number, milliseconds: number): Promise<SlowWire> {
  const sockets = new Set<Socket>()
  const wire = createServer({ noDelay: true }, client => {
    const upstream = connect({ port, host: '127.0.0.1', noDelay: true })
    const end = () => { client.destroy(); upstream.destroy() }
    for (const socket of [client, upstream]) sockets.add(socket.on('error', end).on('close', end).on('close', () => sockets.delete(socket)))
    delay(client, upstream, milliseconds)
    delay(upstream, client, milliseconds)
  })
  wire.listen(0, '127.0.0.1')
  await once(wire, 'listening')
  return {
    url: `http://127.0.0.1:${(wire.address() as AddressInfo).port}`,
    close () {
      wire.close()
      for (const socket of sockets) socket.destroy()
    }
  }
}

function delay (from: Socket, to: Socket, milliseconds: number): void {
  let waiting = 0
  from.on('data', chunk => {
    waiting += chunk.length
    if (waiting > MAX_BYTES) from.pause()
    setTimeout(() => {
      waiting -= chunk.length
      if (waiting <= MAX_BYTES) from.resume()
      if (!to.destroyed) to.write(chunk)
    }, milliseconds)
  })
}
