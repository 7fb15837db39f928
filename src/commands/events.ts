import { setTimeout as wait } from 'node:timers/promises'
import { findUsernameKey } from '../accounts/username.ts'
import type { EventRepository } from '../metadata/events.ts'
import type { EventRecord, EventSelection } from '../metadata/records.ts'
import { FLAG, print, readOptions, UsageError, VALUE } from './command.ts'
import { readStoreConfig, withStore } from './store.ts'

export const help = `\
magicstore events: list security events and what operators did, the oldest first, with or without a running server.

  --user NAME    only those of an account, also of deleted accounts with this name
  --since TIME   only those since a time, such as 2026-11-28 or 2026-11-28T09:30:00Z
  --follow       then wait for more, until SIGINT
  --json         one JSON object per line: id, createdAt, kind, accountId, username, network, requestId, details

  They are kept for EVENT_DAYS. Of one account only about the latest 20,000 are kept, and of each kind
  at least the latest 1,000. EVENT_LOG names a file that gets them too,
  with each successful sign-in by password.`

/** Events read at a time. */
const PAGE = 500

const FOLLOW_MILLISECONDS = 1000

/** An event that was added beside others can get a lower id than these: so many are read again. */
const OVERLAP = 200

/** Lists events. */
export async function run (args: string[]): Promise<void> {
  const values = readOptions(args, { user: VALUE, since: VALUE, follow: FLAG })
  const since = values.since === undefined ? undefined : readTime(values.since)
  await withStore(await readStoreConfig(), async ({ metadata: { accounts, events } }) => {
    const ended = values.follow ? endOfReading() : undefined
    const account = values.user === undefined
      ? undefined
      // There can be events of an earlier account of this name.
      : { username: values.user, id: (await accounts.findByKey(findUsernameKey(values.user) ?? ''))?.id }
    const listing = listNew(events, { account, since, limit: PAGE })
    do {
      for await (const event of listing()) print(values, detailsOf(event), textOf)
    } while (values.follow && await wait(FOLLOW_MILLISECONDS, true, { signal: ended }).catch(() => false))
  })
}

/** Aborts on a signal, and when the reader of the output has exited. */
function endOfReading (): AbortSignal {
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => ending.abort())
  process.stdout.once('error', () => ending.abort())
  return ending.signal
}

/** Returns a function that yields the events that it has not yielded before. */
function listNew (events: EventRepository, selection: EventSelection): () => AsyncGenerator<EventRecord> {
  let recent = new Set<number>()
  let last = 0
  return async function * () {
    let afterId: number | undefined = Math.max(0, last - OVERLAP)
    while (afterId !== undefined) {
      const page: EventRecord[] = await events.listAfter(afterId, selection)
      for (const event of page.filter(({ id }) => !recent.has(id))) {
        recent.add(event.id)
        last = Math.max(last, event.id)
        yield event
      }
      afterId = page.at(-1)?.id
    }
    recent = new Set(Array.from(recent).filter(id => id > last - OVERLAP))
  }
}

/** @throws {UsageError} unless it is a date or a time (RFC 3339). */
function readTime (text: string): number {
  const time = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/i.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(time)) {
    throw new UsageError(`--since: expected a time such as 2026-11-28T09:30:00Z, not ${JSON.stringify(text)}`)
  }
  return time
}

/** As in a line of EVENT_LOG, with the id. */
function detailsOf ({ id, at, ...event }: EventRecord) {
  return { id, createdAt: new Date(at).toISOString(), ...event }
}

function textOf ({ createdAt, kind, accountId, username, network, details }: ReturnType<typeof detailsOf>): string {
  const subject = username ?? (accountId === null ? 'the store' : `account ${accountId}`)
  return [createdAt, kind, subject, network, ...(details === null ? [] : [JSON.stringify(details)])].join('\t')
}
