import type { FastifyRequest, onRequestHookHandler } from 'fastify'
import { networkOf, siteOf } from '../accounts/network.ts'
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

/** Zips of one account, and of all: each holds the list of its entries while it is sent. */
const MAX_ZIPS_PER_ACCOUNT = 2
const MAX_ZIPS = 16

/** The part of a limit that one household has, so that it does not stop all others: a quarter. */
const SITES = 4

/** Most transfers take seconds. */
const RETRY_SECONDS = 5

/**
 * An `onRequest` hook for uploads and downloads: limits the concurrent transfers of each account or link, and of each
 * network, which is one IPv4 address or one IPv6 /64. A transfer ends when its response is finished or its connection
 * closes.
 */
export type TransferLimits = onRequestHookHandler

/** What is counted together. */
interface Holder { readonly key: string, readonly subject: string, readonly limit: number, readonly what: string }

/** The limits for accounts, for visitors, and for zips of accounts. All share those of networks. */
export function createTransferLimits (
  connections: Connections
): { limitTransfers: TransferLimits, limitVisits: TransferLimits, limitZips: TransferLimits } {
  const inProgress = new Map<string, number>()

  function change (key: string, by: number): void {
    const count = countOf(key) + by
    if (count === 0) inProgress.delete(key)
    else inProgress.set(key, count)
  }

  const countOf = (key: string) => inProgress.get(key) ?? 0

  const limitBy = (...holdersOf: ((request: FastifyRequest) => Holder)[]): TransferLimits => (request, reply, done) => {
    const holders = holdersOf.map(holderOf => holderOf(request))
    const full = holders.find(({ key, limit }) => countOf(key) >= limit)
    if (full !== undefined) refuse(full)
    for (const { key } of holders) change(key, 1)
    connections.onceOver(reply.raw, () => { for (const { key } of holders) change(key, -1) })
    done()
  }
  return {
    limitTransfers: limitBy(accountOf, networkHolderOf),
    limitVisits: limitBy(shareOf(linkOf), linkOf, networkHolderOf),
    limitZips: limitBy(zipsOf, shareOf(allZips), allZips, accountOf, networkHolderOf)
  }
}

const TRANSFERS = 'uploads and downloads'

/** The share that the household of a client has of what all others hold too. */
function shareOf (holderOf: (request: FastifyRequest) => Holder): (request: FastifyRequest) => Holder {
  return request => {
    const all = holderOf(request)
    const site = siteOf(request.ip)
    return { ...all, key: `${all.key} from ${site}`, subject: 'A client address, or an IPv6 /56,', limit: all.limit / SITES }
  }
}

function allZips (): Holder {
  return { key: 'zips', subject: 'The server', limit: MAX_ZIPS, what: 'zips' }
}

function accountOf (request: FastifyRequest): Holder {
  return { key: `account ${callerOf(request).account.id}`, subject: 'An account', limit: MAX_TRANSFERS_PER_ACCOUNT, what: TRANSFERS }
}

function zipsOf (request: FastifyRequest): Holder {
  return { key: `zips of ${callerOf(request).account.id}`, subject: 'An account', limit: MAX_ZIPS_PER_ACCOUNT, what: 'zips' }
}

function linkOf (request: FastifyRequest): Holder {
  return { key: `link ${visitOf(request).link.id}`, subject: 'A link', limit: MAX_TRANSFERS_PER_LINK, what: TRANSFERS }
}

function networkHolderOf (request: FastifyRequest): Holder {
  return { key: networkOf(request.ip), subject: 'A client address, or an IPv6 /64,', limit: MAX_TRANSFERS_PER_NETWORK, what: TRANSFERS }
}

function refuse ({ subject, limit, what }: Holder): never {
  const detail = `${subject} may have at most ${limit} concurrent ${what}.`
  throw new Problem('too_many_transfers', { detail, headers: { 'retry-after': String(RETRY_SECONDS) } })
}
