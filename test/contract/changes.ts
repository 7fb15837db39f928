import { inlineResponses } from '../kit/document.ts'
import { compareSchemas, type Change, type Direction, type Schema } from './schema-changes.ts'

export type { Change } from './schema-changes.ts'

/** The part of an OpenAPI document that belongs to the contract. */
export interface Document {
  info: { version: string }
  paths: Record<string, Record<string, Schema>>
  [part: string]: unknown
}

/**
 * The changes from one document to the next, each listed once: operations, credentials, parameters, bodies, statuses,
 * headers and codes. Texts and examples are not part of the contract. Removing an error status or code breaks no
 * client. A new one is handled like others of its class (RFC 9110 section 15), and so is a new problem type, and a new
 * kind where the document says that more may be added.
 */
export function changesBetween (before: Document, after: Document): Change[] {
  const follow = { before: resolver(before), after: resolver(after) }
  const [old, now] = [operationsOf(inlineResponses(before)), operationsOf(inlineResponses(after))]
  const changes = Array.from(new Set([...old.keys(), ...now.keys()])).flatMap((name): Change[] => {
    const [x, y] = [old.get(name), now.get(name)]
    if (x === undefined) return [{ level: 'added', subject: name, what: String(y?.summary) }]
    if (y === undefined) return [{ level: 'breaking', subject: name, what: 'operation removed' }]
    return [
      ...identity(x, y, name),
      ...credentials(x, y, name),
      ...parameters(x, y, name),
      ...body(x, y, name),
      ...responses(x, y, name)
    ]
  })
  const judged = changes.map((change): Change => isExpected(change) ? { ...change, level: 'added' } : change)
  return Array.from(new Map(judged.map(change => [JSON.stringify(change), change])).values())

  /** The level of a changed operation id: generated clients use it as a function name. */
  function identity (x: Schema, y: Schema, subject: string): Change[] {
    return x.operationId === y.operationId ? [] : [{ level: 'breaking', subject, what: `operation id \`${x.operationId}\` → \`${y.operationId}\`` }]
  }

  function credentials (x: Schema, y: Schema, subject: string): Change[] {
    const [was, is] = [x.security ?? [{}], y.security ?? [{}]] as [object[], object[]]
    const schemes = (way: object) => Object.keys(way).sort().join(' and ') || 'nothing'
    const suffices = (way: object, ways: object[]) =>
      ways.some(other => Object.keys(other).every(scheme => scheme in way))
    const [scope, scopeNow] = [x['x-required-scope'], y['x-required-scope']]
    return [
      ...was.filter(way => !suffices(way, is)).map((way): Change => ({ level: 'breaking', subject, what: `${schemes(way)} is no longer accepted` })),
      ...is.filter(way => !suffices(way, was)).map((way): Change => ({ level: 'added', subject, what: `${schemes(way)} is accepted` })),
      ...(scope === scopeNow ? [] : [{ level: scopeNow === undefined ? 'added' : 'breaking', subject, what: `scope ${scope ?? 'none'} → ${scopeNow ?? 'none'}` } as Change])
    ]
  }

  function parameters (x: Schema, y: Schema, name: string): Change[] {
    const named = ({ parameters = [] }: Schema) => Object.fromEntries((parameters as Schema[]).map(parameter => [`${parameter.in} \`${parameter.name}\``, parameter]))
    return entries(named(x), named(y)).flatMap(([key, was, is]): Change[] => {
      const subject = `${name}, ${key}`
      if (was === undefined) return [{ level: is?.required === true ? 'breaking' : 'added', subject, what: 'parameter added' }]
      if (is === undefined) return [{ level: 'breaking', subject, what: 'parameter removed' }]
      return [...need(was, is, subject), ...compareSchemas(was.schema, is.schema, { direction: 'request', subject }, follow)]
    })
  }

  function need (was: Schema, is: Schema, subject: string): Change[] {
    return was.required === is.required ? [] : [{ level: is.required === true ? 'breaking' : 'added', subject, what: is.required === true ? 'is now required' : 'is now optional' }]
  }

  function body (x: Schema, y: Schema, name: string): Change[] {
    const subject = `${name}, body`
    const [was, is] = [x.requestBody, y.requestBody]
    if (was === undefined || is === undefined) return was === is ? [] : [{ level: is?.required === false ? 'added' : 'breaking', subject, what: is === undefined ? 'removed' : 'added' }]
    return [...need(was, is, subject), ...media(was, is, { subject, direction: 'request' })]
  }

  function responses (x: Schema, y: Schema, name: string): Change[] {
    return entries<Schema>(x.responses, y.responses).flatMap(([status, was, is]): Change[] => {
      const subject = `${name}, ${status}`
      if (was === undefined) return [{ level: 'added', subject, what: 'response added' }]
      if (is === undefined) return [{ level: Number(status) < 400 ? 'breaking' : 'changed', subject, what: 'response removed' }]
      return [...headers(was, is, subject), ...media(was, is, { subject, direction: 'response' }), ...codes(was, is, subject)]
    })
  }

  function headers (x: Schema, y: Schema, name: string): Change[] {
    return entries<Schema>(x.headers, y.headers).flatMap(([header, was, is]): Change[] => {
      const subject = `${name}, ${header}`
      if (was === undefined) return [{ level: 'added', subject, what: 'header added' }]
      if (is === undefined) return [{ level: 'breaking', subject, what: 'header removed' }]
      return compareSchemas(follow.before(was).schema, follow.after(is).schema, { direction: 'response', subject: was.$ref === undefined ? subject : header }, follow)
    })
  }

  function media (x: Schema, y: Schema, { subject, direction }: { subject: string, direction: Direction }): Change[] {
    return entries<Schema>(x.content, y.content).flatMap(([type, was, is]): Change[] => {
      if (was === undefined || is === undefined) return [{ level: was === undefined ? 'added' : 'breaking', subject, what: `media type \`${type}\` ${was === undefined ? 'added' : 'removed'}` }]
      return compareSchemas(was.schema, is.schema, { direction, subject }, follow)
    })
  }
}

/** What grows from time to time. */
const GROWING_KINDS = new Set(['Token.kind', 'AccountEvent.kind'])

function isExpected ({ subject, what }: Change): boolean {
  return subject === 'Problem.type' || (GROWING_KINDS.has(subject) && /^value .+ added$/.test(what))
}

/** The codes of an error response, which are the names of its examples. */
function codes (x: Schema, y: Schema, subject: string): Change[] {
  const known = ({ content }: Schema): Record<string, object> => content?.['application/problem+json']?.examples
  return entries(known(x), known(y)).flatMap(([code, was, is]): Change[] => {
    if (was !== undefined && is !== undefined) return []
    return [{ level: was === undefined ? 'added' : 'changed', subject, what: `code \`${code}\` ${was === undefined ? 'added' : 'removed'}` }]
  })
}

function operationsOf ({ paths }: Document): Map<string, Schema> {
  return new Map(Object.entries(paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation])))
}

/** Resolves a reference. */
function resolver (document: Document): (schema: Schema) => Schema {
  return schema => schema.$ref === undefined ? schema : schema.$ref.slice(2).split('/').reduce((value: any, step: string) => value[step], document)
}

/** The entries of both, side by side. */
function entries<Value> (
  before: Record<string, Value> = {}, after: Record<string, Value> = {}
): [string, Value | undefined, Value | undefined][] {
  return Object.keys({ ...before, ...after }).map(key => [key, before[key], after[key]])
}
