import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { problemOf } from '../http/error-handler.ts'
import type { RequestLog } from '../http/request-log.ts'
import { Problem, type Resource } from '../problems.ts'
import type { AppServices } from '../services.ts'

const MINUTE_MILLISECONDS = 60_000

/** The name of each resource in the log. */
const names: Record<Resource, string> = {
  database: 'the database',
  bucket: 'the bucket',
  disk: 'the disk',
  clock: 'the clock of this machine',
  sealing_keys: 'the sealing keys',
  provider: 'the identity provider'
}

interface Outage {
  /** Since the last line. */
  failures: number
  latest: object
  /** Runs out a minute after the last failure. */
  readonly quiet: NodeJS.Timeout
}

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

  /** 1 for each resource that there is a problem with, 0 for the others. */
  states (): Record<string, number> {
    return Object.fromEntries(Object.keys(names).map(name => [name, Number(this.#outages.has(name as Resource))]))
  }

  /** Takes a failure of a request, a readiness check or housekeeping. Ignores those that are not of a resource. */
  report (problem: Problem): void {
    const { resource, state, cause } = problem.options
    if (resource === undefined) return
    const latest = { reason: reasonOf(cause) ?? problem.message, ...state }
    const outage = this.#outages.get(resource)
    if (outage === undefined) return this.#begin(resource, latest)
    outage.failures++
    outage.latest = latest
    outage.quiet.refresh()
  }

  #begin (resource: Resource, latest: object): void {
    const since = Date.now()
    const seconds = () => Math.round((Date.now() - since) / 1000)
    // Before the interval: of two that run out together, Node.js calls the one first that was started first.
    const quiet = setTimeout(() => {
      clearInterval(repeat)
      this.#outages.delete(resource)
      this.#log.warn({ resource, seconds: seconds() }, `no problem with ${names[resource]} for a minute`)
    }, MINUTE_MILLISECONDS).unref()
    const repeat = setInterval(() => {
      this.#log.error(
        { resource, failures: outage.failures, seconds: seconds(), ...outage.latest },
        `still a problem with ${names[resource]}`
      )
      outage.failures = 0
    }, MINUTE_MILLISECONDS).unref()
    const outage: Outage = { failures: 0, latest, quiet }
    this.#outages.set(resource, outage)
    this.#log.error({ resource, ...latest }, `problem with ${names[resource]}`)
  }
}

/** The driver's own words, in one line: the innermost cause, with its code. */
function reasonOf (error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined
  if (error.cause instanceof Error) return reasonOf(error.cause)
  const { code = error.name, message } = error as NodeJS.ErrnoException
  return (code === 'Error' || message.includes(code) ? message : `${message} (${code})`).replaceAll(/\s+/g, ' ')
}

/** Logs failures in the line of their request, and those of a resource as an outage. `failures`: those of tasks. */
export function watchFailures (
  app: FastifyInstance, failures: AppServices['failures'], requestLog: RequestLog
): Outages {
  const outages = new Outages(app.log)
  app.addHook('onError', (request, _reply, error, done) => {
    const problem = problemOf(error)
    requestLog.fail(request, problem.code)
    outages.report(problem)
    done()
  })
  failures.watch((err, task) => {
    if (err instanceof Problem && err.options.resource !== undefined) outages.report(err)
    else app.log.error({ err }, `${task} failed`)
  })
  return outages
}
