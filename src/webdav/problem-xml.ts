import type { FastifyError, FastifyRequest } from 'fastify'
import { answerTo, logUnexpected, problemOf, sendProblem } from '../http/error-handler.ts'
import { failures, type FailureCode, type Problem } from '../problems.ts'
import { allowAllBut, DISCOVERY } from './methods.ts'
import { MULTISTATUS_END, PropertyElements, response, statusElement, XML_DECLARATION, XML_TYPE } from './multistatus.ts'
import { hrefOf, type Site, targetOf } from './paths.ts'

/** A condition that a request violated: its element, and its status if that is not the one of the code. */
interface DavCondition { readonly element: string, readonly status?: number }

/** RFC 4918 section 16, and RFC 4331 section 6. */
const CONDITIONS: Partial<Record<FailureCode, DavCondition>> = {
  depth_infinite: { element: 'propfind-finite-depth' },
  file_locked: { element: 'lock-token-submitted' },
  lock_token_mismatch: { element: 'lock-token-matches-request-uri' },
  quota_exceeded: { element: 'quota-not-exceeded', status: 507 },
  storage_full: { element: 'sufficient-disk-space' }
}

/** Answers with the condition that RFC 4918 names for a problem, or else with problem details. */
export function createProblemSender (site: Site): typeof sendProblem {
  return (error, request, reply) => {
    const problem = answerTo(error, request)
    if (failures[problem.code].status === 401) reply.headers({ ...DISCOVERY, allow: allowAllBut() })
    const found = errorElement(problem, request, site)
    if (found === undefined) return sendProblem(error, request, reply)
    return reply.code(statusOf(problem)).headers({ ...problem.options.headers, 'cache-control': 'no-store' })
      .type(XML_TYPE).send(`${XML_DECLARATION}<D:error xmlns:D="DAV:">${found}</D:error>\n`)
  }
}

/** The body of a 207 about a failure at one path. */
export function failureStatus (
  failure: unknown, path: string, { request, site }: { request: FastifyRequest, site: Site }
): string {
  const problem = problemOf(failure as FastifyError)
  logUnexpected(problem, request)
  const found = errorElement(problem, request, site)
  const error = found === undefined ? '' : `<D:error>${found}</D:error>`
  const href = hrefOf(path, targetOf(request, site))
  return new PropertyElements([]).begin + response(href, statusElement(statusOf(problem)) + error) + MULTISTATUS_END
}

function statusOf ({ code }: Problem): number {
  return CONDITIONS[code]?.status ?? failures[code].status
}

/** The condition as an element; undefined if the problem has none. */
function errorElement ({ code, options }: Problem, request: FastifyRequest, site: Site): string | undefined {
  const condition = CONDITIONS[code]
  if (condition === undefined) return undefined
  const isConflict = request.method === 'LOCK' && code === 'file_locked'
  const element = isConflict ? 'no-conflicting-lock' : condition.element
  const { locked: roots = [], lockedFolders = [] } = (options.members ?? {}) as Record<string, readonly string[]>
  const folders = new Set(lockedFolders)
  const target = targetOf(request, site)
  const hrefs = roots.map(path => `<D:href>${hrefOf(path, target)}${folders.has(path) ? '/' : ''}</D:href>`)
  return `<D:${element}>${hrefs.join('')}</D:${element}>`
}
