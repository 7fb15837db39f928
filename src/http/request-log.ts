import { LogController, type FastifyReply, type FastifyRequest } from 'fastify'
import { findCaller } from '../caller.ts'

/**
 * One line for each request, once it is over: who asked for what, what was answered, and how long that took in
 * milliseconds. Of the address the path alone, for a client may have put its token behind the question mark.
 */
export class RequestLog extends LogController {
  override incomingRequest (): void {}

  override requestCompleted (_error: Error | null | undefined, request: FastifyRequest, reply: FastifyReply): void {
    const { method, url, ip, log } = request
    const accountId = findCaller(request)?.account.id
    log.info({
      method,
      path: url.replace(/\?.*/, ''),
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime * 100) / 100,
      client: ip,
      ...(accountId !== undefined && { accountId }),
      ...(!reply.raw.writableFinished && { isCut: true })
    }, 'request')
  }
}
