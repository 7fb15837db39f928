import type { FastifyBaseLogger } from 'fastify'
import type { Problem, Resource } from '../problems.ts'

const REPEAT_MILLISECONDS = 60_000

/** The name of each resource in the log. */
const names: Record<Resource, string> = {
  database: 'the database',
  storage: 'the file storage',
  disk: 'the disk'
}

interface Outage { readonly since: number, failures: number, reason: string }

/**
 * Logs when a resource begins to fail, once a minute while it fails, with the number of failures, and when a minute has
 * passed without one. A line for each failure would fill the log during an outage.
 */
export class Outages {
  readonly #log: Pick<FastifyBaseLogger, 'error' | 'warn'>
  readonly #outages = new Map<Resource, Outage>()

  constructor (log: Pick<FastifyBaseLogger, 'error' | 'warn'>) {
    this.#log = log
  }

  /** Takes a failure of a request or of housekeeping. Ignores those that are not of a resource. */
  report (problem: Problem): void {
    const { resource, cause } = problem.options
    if (resource === undefined) return
    const reason = reasonOf(cause) ?? problem.message
    const outage = this.#outages.get(resource)
    if (outage !== undefined) {
      outage.failures++
      outage.reason = reason
      return
    }
    this.#outages.set(resource, { since: Date.now(), failures: 0, reason })
    this.#log.error({ resource, code: problem.code, reason }, `${names[resource]} is failing`)
    setTimeout(() => this.#repeat(resource), REPEAT_MILLISECONDS).unref()
  }

  #repeat (resource: Resource): void {
    const { since, failures, reason } = this.#outages.get(resource) as Outage
    const seconds = Math.round((Date.now() - since) / 1000)
    if (failures === 0) {
      this.#outages.delete(resource)
      this.#log.warn({ resource, seconds }, `${names[resource]} has not failed for a minute`)
      return
    }
    this.#outages.set(resource, { since, failures: 0, reason })
    this.#log.error({ resource, failures, seconds, reason }, `${names[resource]} is still failing`)
    setTimeout(() => this.#repeat(resource), REPEAT_MILLISECONDS).unref()
  }
}

/** The driver's own words, in one line: the innermost cause, with its code. */
function reasonOf (error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.cause instanceof Error) return reasonOf(error.cause)
  const { code, name, message } = error as NodeJS.ErrnoException
  const text = message === '' ? name : message
  return (code === undefined || text.includes(code) ? text : `${text} (${code})`).replaceAll(/\s+/g, ' ')
}
