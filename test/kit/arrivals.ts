import { subscribe } from 'node:diagnostics_channel'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { until } from './waiting.ts'

/** The latest request from each port, as the servers of this process received it. */
const requests = new Map<number | undefined, IncomingMessage>()

subscribe('http.server.request.start', message => {
  const { request } = message as { request: IncomingMessage }
  requests.set(request.socket.remotePort, request)
})

/** A socket of a client, or a request, which gets its socket later. */
export interface Sender { readonly socket: Socket | null }

/** Waits until a server in this process has read all that was sent, and the body has been taken and is waited for. */
export async function untilTaken (sender: Sender): Promise<void> {
  await until(() => {
    const { socket } = sender
    const request = socket === null ? undefined : requests.get(socket.localPort)
    if (request === undefined || request.socket.bytesRead !== socket?.bytesWritten) return false
    return request.readableLength === 0 && request.listenerCount('readable') > 0
  })
  // Iterators pass on what they took before the next turn.
  await setImmediate()
}
