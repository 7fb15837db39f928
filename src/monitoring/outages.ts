import type { FastifyBaseLogger } from 'fastify'
import type { Problem, Resource } from '../problems.ts'

const REPEAT_MILLISECONDS = 60_000

/** The name of each resource in the log. */
const names: Record<Resource, string> = {
  database: 'the database',
  bucket: 'the bucket',
  disk: 'the disk',
  clock: 'the clock of this machine'
}

interface Outage { readonly since: number, failures: number, latest: object }

/**
 * Logs when a resource begins to fail, then once a minute the number of failures, and when a minute has passed without
 * one. A line for each failure would fill the log during an outage.
 */
export class Outages {
  readonly #log: Pick<FastifyBaseLogger, 'error' | 'warn'>
  readonly #outages = new Map<Resource, Outage>()

  constructor (log: Pick<FastifyBaseLogger, 'error' | 'warn'>) {
    this.#log = log
  }

  /** Takes a failure of a request, a readiness check or housekeeping. Ignores those that are not of a resource. */
  report (problem: Problem): void {
    const { resource, state, cause } = problem.options
    if (resource === undefined) return
    const latest = { reason: reasonOf(cause) ?? problem.message, ...state }
    const outage = this.#outages.get(resource)
    if (outage !== undefined) {
      outage.failures++
      outage.latest = latest
      return
    }
    this.#outages.set(resource, { since: Date.now(), failures: 0, latest })
    this.#log.error({ resource, ...latest }, `problem with ${names[resource]}`)
    setTimeout(() => this.#repeat(resource), REPEAT_MILLISECONDS).unref()
  }

  #repeat (resource: Resource): void {
    const { since, failures, latest } = this.#outages.get(resource) as Outage
    const seconds = Math.round((Date.now() - since) / 1000)
    if (failures === 0) {
      this.#outages.delete(resource)
      this.#log.warn({ resource, seconds }, `no problem with ${names[resource]} for a minute`)
      return
    }
    this.#outages.set(resource, { since, failures: 0, latest })
    this.#log.error({ resource, failures, seconds, ...latest }, `still a problem with ${names[resource]}`)
    setTimeout(() => this.#repeat(resource), REPEAT_MILLISECONDS).unref()
  }
}

/** The driver's own words, in one line: the innermost cause, with its code. */
function reasonOf (error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.cause instanceof Error) return reasonOf(error.cause)
  const { code = error.name, message } = error as NodeJS.ErrnoException
  return (code === 'Error' || message.includes(code) ? message : `${message} (${code})`).replaceAll(/\s+/g, ' ')
}
