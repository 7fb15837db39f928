import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { BlockList, type IPVersion, isIP } from 'node:net'
import { type FastifyReply, type FastifyRequest, LogController } from 'fastify'
import { findCaller } from './caller.ts'

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

/** What a proxy may call a request: nothing that a log, a header or a URN would have to escape. */
const GIVEN_ID = /^[A-Za-z0-9-]{1,64}$/

/**
 * Names requests: by a random UUID, for ids that count from 1 would come again after a restart, and people see them in
 * their events. Where the connection comes from a proxy of `trustProxy` (addresses or CIDR ranges), its `X-Request-Id`
 * is taken over, so that one id leads through both logs; anybody else could make two requests look like one.
 */
export function createRequestIds (trustProxy: string[] | undefined): (request: IncomingMessage) => string {
  const proxies = new BlockList()
  for (const text of trustProxy ?? []) {
    const [address = '', bits] = text.split('/')
    if (bits === undefined) proxies.addAddress(address, familyOf(address))
    else proxies.addSubnet(address, Number(bits), familyOf(address))
  }
  const isProxy = (address: string) => isIP(address) !== 0 && proxies.check(address, familyOf(address))

  return ({ headers, socket }) => {
    const given = headers['x-request-id']?.toString()
    return given !== undefined && GIVEN_ID.test(given) && isProxy(String(socket.remoteAddress)) ? given : randomUUID()
  }
}

function familyOf (address: string): IPVersion {
  return `ipv${isIP(address)}` as IPVersion
}
