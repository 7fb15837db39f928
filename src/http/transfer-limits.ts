import type { ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest, onRequestHookHandler } from 'fastify'
import { networkOf, siteOf } from '../accounts/network.ts'
import { type FailureCode, Problem } from '../problems.ts'
import { callerOf, visitOf } from './caller.ts'
import type { Connections } from './connections.ts'

/** Concurrent uploads and downloads, well above what a browser or a download manager opens. */
const MAX_TRANSFERS_PER_ACCOUNT = 256

/** Of all visitors with one link, beside those of its owner. */
const MAX_TRANSFERS_PER_LINK = 64

/** Users behind one address share it. An IPv6 client has all addresses of its /64. */
const MAX_TRANSFERS_PER_NETWORK = 512

/** Zips of one account or link, and of all: each holds the list of its entries while it is sent. */
const MAX_ZIPS_PER_HOLDER = 2
const MAX_ZIPS = 16

/** Of all visitors: the rest stays for accounts. */
const MAX_SHARED_ZIPS = 8

/** Counts of the content of folders, of one account and of all: each reads many pages. */
const MAX_COUNTS_PER_ACCOUNT = 1
const MAX_COUNTS = 16

/** Each takes a step at a time. */
const MAX_ACTS_PER_ACCOUNT = 2

/** Listings of the drive of one account, and of all. Further ones wait. */
const MAX_LISTINGS_PER_ACCOUNT = 8
const MAX_LISTINGS = 64

/** How many listings wait, and how long: a client may never end one, and access may be revoked meanwhile. */
const MAX_WAITING = 256
const MAX_WAIT_MILLISECONDS = 30_000

/** One household gets a quarter of a limit that all share, so that it can't use it up. */
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
interface Holder {
  readonly key: string
  readonly subject: string
  readonly limit: number
  readonly what: string
  /** By default `too_many_transfers`. */
  readonly code?: FailureCode
}

type HolderOf = (request: FastifyRequest) => Holder

/** A request that waits until none of its holders has reached its limit. `leave` ends it with an error. */
interface WaitingRequest {
  readonly account: Holder
  readonly holders: readonly Holder[]
  readonly start: () => void
  readonly leave: (reason: Error) => void
}

/**
 * The limits for accounts, for visitors, and for zips of both, which share those of networks; for counts of folders;
 * for acts on many files; and for listings of the drive, which wait a while, unless their client leaves or the server
 * stops.
 */
export function createTransferLimits (connections: Connections) {
  const inProgress = new Map<string, number>()
  const lasting = new WeakMap<ServerResponse, Promise<unknown>>()
  const waiting = new Set<WaitingRequest>()

  function change (key: string, by: number): void {
    const count = countOf(key) + by
    if (count === 0) inProgress.delete(key)
    else inProgress.set(key, count)
  }

  const countOf = (key: string) => inProgress.get(key) ?? 0

  const isFull = ({ key, limit }: Holder) => countOf(key) >= limit

  function take (holders: readonly Holder[], { raw }: FastifyReply): void {
    for (const { key } of holders) change(key, 1)
    const end = () => {
      for (const { key } of holders) change(key, -1)
      startNext()
    }
    connections.onceOver(raw, () => {
      const act = lasting.get(raw)
      if (act === undefined) end()
      else act.then(end, end)
    })
  }

  /** Starts a request of the account that has the fewest, so that many of one account don't delay others. */
  function startNext (): void {
    const ready = Array.from(waiting).filter(({ holders }) => !holders.some(isFull))
    ready.sort((one, other) => countOf(one.account.key) - countOf(other.account.key))[0]?.start()
  }

  const { stopping } = connections
  stopping.addEventListener('abort', () => { for (const { leave } of waiting) leave(stopping.reason as Error) })

  const limitBy = (...holdersOf: HolderOf[]): TransferLimits => (request, reply, done) => {
    const holders = holdersOf.map(holderOf => holderOf(request))
    const full = holders.find(isFull)
    if (full !== undefined) refuse(full)
    take(holders, reply)
    done()
  }

  const queueBy = (accountOf: HolderOf, ...othersOf: HolderOf[]): TransferLimits => (request, reply, done) => {
    const account = accountOf(request)
    const holders = [account, ...othersOf.map(holderOf => holderOf(request))]
    const begin = () => {
      take(holders, reply)
      done()
    }
    if (!holders.some(isFull)) return begin()
    const overloaded = new Problem('overloaded', { retrySeconds: RETRY_SECONDS })
    if (waiting.size >= MAX_WAITING) throw overloaded
    const leave = (reason: Error) => { if (end()) done(reason) }
    const start = () => {
      end()
      begin()
    }
    const next = { account, holders, start, leave }
    const timer = setTimeout(leave, MAX_WAIT_MILLISECONDS, overloaded)
    const end = () => {
      clearTimeout(timer)
      return waiting.delete(next)
    }
    waiting.add(next)
    const signal = connections.signalOf(request.raw, reply.raw)
    signal.addEventListener('abort', () => leave(signal.reason as Error))
  }

  const transfers = ofAccount(MAX_TRANSFERS_PER_ACCOUNT, TRANSFERS)
  const visits = ofLink(MAX_TRANSFERS_PER_LINK, TRANSFERS)
  const zips = ofAll(MAX_ZIPS, 'zips')
  const zipsOfLink = ofLink(MAX_ZIPS_PER_HOLDER, 'zips')
  const sharedZips = ofAll(MAX_SHARED_ZIPS, 'zips by links')
  const listings = ofAll(MAX_LISTINGS, 'listings')
  const counts = withCode('too_many_requests', ofAll(MAX_COUNTS, COUNTS))
  const acts = withCode('too_many_acts', ofAccount(MAX_ACTS_PER_ACCOUNT, 'acts on many files'))
  return {
    /** Counts a request as long as its act lasts, also if the client leaves. */
    countUntil: <T>({ raw }: FastifyReply, act: Promise<T>): Promise<T> => {
      lasting.set(raw, act)
      return act
    },
    limitActs: limitBy(acts),
    limitTransfers: limitBy(transfers, ofNetwork),
    limitVisits: limitBy(shareOf(visits), visits, ofNetwork),
    limitZips: limitBy(ofAccount(MAX_ZIPS_PER_HOLDER, 'zips'), shareOf(zips), zips, transfers, ofNetwork),
    limitSharedZips: limitBy(
      shareOf(zipsOfLink), zipsOfLink, shareOf(sharedZips), sharedZips, shareOf(zips), zips, shareOf(visits), visits,
      ofNetwork
    ),
    limitCounts: limitBy(
      withCode('too_many_requests', ofAccount(MAX_COUNTS_PER_ACCOUNT, COUNTS)), shareOf(counts), counts
    ),
    limitListings: queueBy(ofAccount(MAX_LISTINGS_PER_ACCOUNT, 'listings'), shareOf(listings), listings)
  }
}

const TRANSFERS = 'uploads and downloads'
const COUNTS = 'counts of folders'

/** What the household of a client may have of a limit that all share. */
function shareOf (holderOf: HolderOf): HolderOf {
  return request => {
    const all = holderOf(request)
    const key = `${all.key} from ${siteOf(request.ip)}`
    return { ...all, key, subject: 'A client address, or an IPv6 /56,', limit: Math.ceil(all.limit / SITES) }
  }
}

/** What is refused with another code than transfers. */
function withCode (code: FailureCode, holderOf: HolderOf): HolderOf {
  return request => ({ ...holderOf(request), code })
}

const ofAll = (limit: number, what: string): HolderOf => () => ({ key: what, subject: 'The server', limit, what })

const ofAccount = (limit: number, what: string): HolderOf => request =>
  ({ key: `${what} of account ${callerOf(request).account.id}`, subject: 'An account', limit, what })

const ofLink = (limit: number, what: string): HolderOf => request =>
  ({ key: `${what} of link ${visitOf(request).link.id}`, subject: 'A link', limit, what })

const ofNetwork: HolderOf = ({ ip }) => ({
  key: networkOf(ip), subject: 'A client address, or an IPv6 /64,', limit: MAX_TRANSFERS_PER_NETWORK, what: TRANSFERS
})

function refuse ({ subject, limit, what, code = 'too_many_transfers' }: Holder): never {
  const detail = `${subject} may have at most ${limit} concurrent ${what}.`
  throw new Problem(code, { detail, retrySeconds: RETRY_SECONDS })
}
