import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'
import type { Registry } from 'prom-client'

export type MetricsServer = ReturnType<typeof createMetricsServer>

/** Answers `GET /metrics` in Prometheus' text format. Needs no authentication, because it has its own address. */
export function createMetricsServer (registry: Registry, log: FastifyBaseLogger) {
  const server = createServer((request, response) => {
    answer(request, response).catch((err: unknown) => {
      log.error({ err }, 'the metrics could not be read')
      response.writeHead(500).end()
    })
  })

  async function answer ({ method, url }: IncomingMessage, response: ServerResponse): Promise<void> {
    const isKnown = url?.split('?')[0] === '/metrics' && (method === 'GET' || method === 'HEAD')
    response.setHeader('x-content-type-options', 'nosniff').setHeader('cache-control', 'no-store')
    if (!isKnown) response.writeHead(404).end()
    else {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
    }
  }

  return {
    listen: async ({ host, port }: { host: string, port: number }): Promise<AddressInfo> => {
      server.listen({ host, port })
      await once(server, 'listening')
      return server.address() as AddressInfo
    },
    /** Closes all connections at once. */
    async close (): Promise<void> {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
  }
}
