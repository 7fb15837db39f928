import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { networkOf } from '../accounts/network.ts'
import { Problem } from '../problems.ts'
import { callerOf } from './caller.ts'
import type { Connections } from './connections.ts'
import { visitOf } from './visit.ts'

/** Concurrent uploads and downloads, well above what a browser or a download manager opens. */
const MAX_TRANSFERS_PER_ACCOUNT = 256

/** Of all visitors with one link, beside those of its owner. */
const MAX_TRANSFERS_PER_LINK = 64

/** Users behind one address share it. An IPv6 client has all addresses of its /64. */
const MAX_TRANSFERS_PER_NETWORK = 512

/** Most transfers take seconds. */
const RETRY_SECONDS = 5

/**
 * An `onRequest` hook for uploads and downloads: limits the concurrent transfers of each account or link, and of each
 * network, which is one IPv4 address or one IPv6 /64. A transfer ends when its response is finished or its connection
 * closes.
 */
export type TransferLimits = onRequestHookHandler

/** Whose transfers are counted together, beside those of the network. */
interface Holder { readonly key: string, readonly subject: string, readonly limit: number }

/** The limits for accounts, and for visitors. Both share those of networks. */
export function createTransferLimits (
  connections: Connections
): { limitTransfers: TransferLimits, limitVisits: TransferLimits } {
  const inProgress = new Map<string, number>()

  function change (key: string, by: number): void {
    const count = countOf(key) + by
    if (count === 0) inProgress.delete(key)
    else inProgress.set(key, count)
  }

  const countOf = (key: string) => inProgress.get(key) ?? 0

  const limitBy = (holderOf: (request: FastifyRequest) => Holder): TransferLimits => (request, reply, done) => {
    const { key, subject, limit } = holderOf(request)
    const network = networkOf(request.ip)
    if (countOf(key) >= limit) refuse(subject, limit)
    if (countOf(network) >= MAX_TRANSFERS_PER_NETWORK) refuse('A client address, or an IPv6 /64,', MAX_TRANSFERS_PER_NETWORK)
    const keys = [key, network]
    for (const key of keys) change(key, 1)
    connections.onceOver(reply.raw, () => { for (const key of keys) change(key, -1) })
    done()
  }
  return { limitTransfers: limitBy(accountOf), limitVisits: limitBy(linkOf) }
}

function accountOf (request: FastifyRequest): Holder {
  return { key: `account ${callerOf(request).account.id}`, subject: 'An account', limit: MAX_TRANSFERS_PER_ACCOUNT }
}

function linkOf (request: FastifyRequest): Holder {
  return { key: `link ${visitOf(request).link.id}`, subject: 'A link', limit: MAX_TRANSFERS_PER_LINK }
}

function refuse (subject: string, limit: number): never {
  const detail = `${subject} may have at most ${limit} concurrent uploads and downloads.`
  throw new Problem('too_many_transfers', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}
