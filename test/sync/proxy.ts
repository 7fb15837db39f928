import { once } from 'node:events'
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A request as it reached the proxy. */
export interface Passed { readonly method: string, readonly path: string, readonly headers: IncomingHttpHeaders }

interface Canned {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly code?: string
  readonly detail?: string
  /** Instead of a problem. */
  readonly body?: string
}

export interface Proxy {
  readonly url: string
  /** Of the server. */
  port: number
  /** All requests, the oldest first. */
  readonly requests: readonly Passed[]
  /** What the proxy answers itself; undefined to pass a request on. */
  answer: (passed: Passed) => Canned | undefined
  /** What becomes of the bytes of an answer, of which `offset` have passed; undefined to cut the connection. */
  change: (chunk: Buffer, passed: Passed, offset: number) => Buffer | undefined
  /** Which headers of a request are dropped. */
  drops: readonly string[]
}

/** A proxy that does what those between a computer and a server do, and worse. */
export async function openProxy (t: Test, port: number): Promise<Proxy> {
  const requests: Passed[] = []
  const proxy: Proxy & { url: string } = { url: '', port, requests, answer: () => undefined, change: chunk => chunk, drops: [] }
  const server = createServer((incoming, outgoing) => {
    const { method = '', url: path = '', headers } = incoming
    const passed = { method, path, headers }
    requests.push(passed)
    const answer = proxy.answer(passed)
    if (answer !== undefined) {
      const { status, code, detail, body } = answer
      outgoing.writeHead(status, { 'content-type': 'application/problem+json', connection: 'close', ...answer.headers })
      outgoing.end(body ?? JSON.stringify({ status, code, detail }))
      return
    }
    const sent = Object.fromEntries(Object.entries(headers).filter(([name]) => !proxy.drops.includes(name)))
    const upstream = request({ port: proxy.port, method, path, headers: sent }, response => {
      outgoing.writeHead(response.statusCode ?? 0, response.headers)
      pass(response).catch(() => outgoing.destroy())
    })
    async function pass (response: IncomingMessage): Promise<void> {
      let offset = 0
      for await (const chunk of response) {
        const changed = proxy.change(chunk, passed, offset)
        // What was written before arrives.
        if (changed === undefined) return outgoing.socket?.destroySoon()
        if (!outgoing.write(changed)) await once(outgoing, 'drain')
        offset += chunk.length
      }
      outgoing.end()
    }
    upstream.on('error', () => outgoing.destroy())
    outgoing.on('close', () => upstream.destroy())
    incoming.pipe(upstream)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.closeAllConnections(); server.close() })
  proxy.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return proxy
}
