import type { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { problemOf } from '../http/error-handler.ts'
import { failures, type FailureCode } from '../problems.ts'

/** Methods with their own label; all others share one. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])

/** Upper bounds, in seconds, from a database lookup to the transfer of a large file. */
const DURATION_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

/** Returns a function that counts all requests from then on. Call that before any other hook is added. */
export function createRequestMetrics (registry: Registry) {
  const registers = [registry]
  const requests = new Counter({
    name: 'magicstore_requests_total',
    help: 'Finished requests by method, operation and status class; cut: the connection closed before the end of ' +
      'the response.',
    labelNames: ['method', 'operation', 'status'],
    registers
  })
  const durations = new Histogram({
    name: 'magicstore_request_duration_seconds',
    help: 'Time from the head of a request to the end of its response.',
    labelNames: ['operation'],
    buckets: DURATION_BUCKETS,
    registers
  })
  const problems = new Counter({
    name: 'magicstore_problems_total', help: 'Error responses by code.', labelNames: ['code'], registers
  })
  // From the start, for alerts: Prometheus sees no increase where a series begins.
  for (const [code, { status }] of Object.entries(failures)) if (status >= 500) problems.inc({ code }, 0)
  const uploads = new Counter({
    name: 'magicstore_uploads_total',
    help: 'Uploads by outcome: created, replaced, unchanged, cut, or refused with a code.',
    labelNames: ['outcome', 'code'],
    registers
  })
  const codes = new WeakMap<FastifyRequest, FailureCode>()

  function count (request: FastifyRequest, reply: FastifyReply): void {
    const operation = operationOf(request)
    const status = statusOf(reply)
    requests.inc({ method: METHODS.has(request.method) ? request.method : 'other', operation, status })
    durations.observe({ operation }, reply.elapsedTime / 1000)
    const code = codes.get(request) ?? ''
    if (operation !== 'uploadFile' && operation !== 'putFile') return
    uploads.inc(uploadLabels({ operation, status: status === 'cut' ? status : reply.statusCode, code }))
  }

  return (app: FastifyInstance, { isTls }: { isTls: boolean }): void => {
    watchSockets(app, { isTls, registry })
    app.addHook('onRequest', async (request, reply) => { reply.raw.once('close', () => count(request, reply)) })
    app.addHook('onError', async (request, _reply, error) => {
      const { code } = problemOf(error)
      codes.set(request, code)
      problems.inc({ code })
    })
  }
}

/** The operation id, or the route's pattern; never text from the client. */
function operationOf ({ routeOptions }: FastifyRequest): string {
  const { operationId } = (routeOptions.schema ?? {}) as { operationId?: string }
  return operationId ?? routeOptions.url ?? 'none'
}

function statusOf ({ raw, statusCode }: FastifyReply): string {
  return raw.writableFinished ? `${Math.floor(statusCode / 100)}xx` : 'cut'
}

function uploadLabels ({ operation, status, code }: {
  operation: string, status: number | 'cut', code: FailureCode | ''
}): { outcome: string, code: FailureCode | '' } {
  if (status === 'cut' || code === 'upload_incomplete') return { outcome: 'cut', code: '' }
  if (status === 201) return { outcome: 'created', code }
  if (status === 200) return { outcome: operation === 'putFile' ? 'replaced' : 'unchanged', code }
  return { outcome: 'refused', code }
}

/** Counts bytes at the sockets: heads, bodies and aborted transfers, without the overhead of TLS. */
function watchSockets (app: FastifyInstance, { isTls, registry }: { isTls: boolean, registry: Registry }): void {
  const open = new Set<Socket>()
  let [received, sent] = [0, 0]
  app.server.on(isTls ? 'secureConnection' : 'connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => {
      open.delete(socket)
      received += socket.bytesRead
      sent += socket.bytesWritten
    })
  })
  const withOpen = (closed: number, key: 'bytesRead' | 'bytesWritten') =>
    Array.from(open).reduce((sum, socket) => sum + socket[key], closed)
  registry.registerMetric(new Counter({
    name: 'magicstore_network_bytes_total',
    help: 'Bytes received from clients and sent to them.',
    labelNames: ['direction'],
    registers: [],
    collect () {
      this.reset()
      this.inc({ direction: 'in' }, withOpen(received, 'bytesRead'))
      this.inc({ direction: 'out' }, withOpen(sent, 'bytesWritten'))
    }
  }))
  registry.registerMetric(new Gauge({
    name: 'magicstore_connections', help: 'Open connections.', registers: [], collect () { this.set(open.size) }
  }))
}
