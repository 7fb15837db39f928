/** `breaking`: existing clients may fail. `added`: the API offers or accepts more. `changed`: neither. */
export type Level = 'breaking' | 'added' | 'changed'

export interface Change { readonly level: Level, readonly subject: string, readonly what: string }

/** Requests may require less, never more; responses may promise more, never less. */
export type Direction = 'request' | 'response'

export type Schema = Record<string, any>

/** How to compare the schemas of one place, and the name of that place. */
interface Place { readonly direction: Direction, readonly subject: string }

const ANNOTATIONS = new Set(['description', 'title', 'summary', 'example', 'examples', '$id', '$comment', 'readOnly', 'writeOnly', 'externalDocs'])
const UPPER = new Set(['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'])
const LOWER = new Set(['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'])
/** Keywords that are present or absent; two values of them can't be compared. */
const OPAQUE = new Set(['pattern', 'format', 'multipleOf', 'uniqueItems', 'contentMediaType', 'contentEncoding'])

const LEVELS: Record<Direction, { narrower: Level, wider: Level }> = {
  request: { narrower: 'breaking', wider: 'added' },
  response: { narrower: 'changed', wider: 'breaking' }
}

/**
 * Compares schemas of two documents. A shared schema is reported under its name, so a change in it is listed once,
 * wherever it is used. A change of an unknown keyword is breaking.
 */
export function compareSchemas (
  before: Schema,
  after: Schema,
  place: Place,
  follow: { before: (schema: Schema) => Schema, after: (schema: Schema) => Schema }
): Change[] {
  const shared = before.$ref?.split('/').at(-1)
  return compare(before, after, { ...place, subject: shared ?? place.subject })

  function compare (old: Schema, now: Schema, { direction, subject }: Place): Change[] {
    const [a, b] = [follow.before(old), follow.after(now)]
    const level = LEVELS[direction]
    const report = (kind: 'narrower' | 'wider', what: string): Change => ({ level: level[kind], subject, what })
    const within = (x: Schema, y: Schema, name: string) => compareSchemas(x, y, { direction, subject: `${subject}${name}` }, follow)
    const keywords = new Set([...Object.keys(a), ...Object.keys(b)])
    return Array.from(keywords).filter(keyword => !ANNOTATIONS.has(keyword) && !keyword.startsWith('x-')).flatMap(keyword => {
      const [x, y] = [a[keyword], b[keyword]]
      if (JSON.stringify(x) === JSON.stringify(y) && x?.$ref === undefined && !['properties', 'items', 'anyOf'].includes(keyword)) return []
      const changed = `\`${keyword}\` ${text(x)} → ${text(y)}`
      if (keyword === 'properties') return properties(x ?? {}, y ?? {}, subject, within)
      if (keyword === 'items' && x !== undefined && y !== undefined) return within(x, y, '[]')
      if (keyword === 'anyOf' && x !== undefined && y !== undefined) return members(x, y, report, within)
      if (keyword === 'type') return sets([x].flat(), [y].flat(), 'type', report)
      if (keyword === 'enum' && x !== undefined && y !== undefined) return sets(x, y, 'value', report)
      if (keyword === 'required') return required(x ?? [], y ?? [], report)
      if (keyword === 'additionalProperties') return [report(y === false ? 'narrower' : 'wider', changed)].map(change => direction === 'response' && change.level === 'breaking' ? { ...change, level: 'added' } : change)
      if (keyword === 'default') return [{ level: 'breaking', subject, what: changed }]
      // Some had to be there.
      if (keyword === 'minProperties' && y <= (a.required?.length ?? 0)) return []
      if (UPPER.has(keyword) || LOWER.has(keyword)) return [report(isTighter(keyword, x, y) ? 'narrower' : 'wider', changed)]
      if (OPAQUE.has(keyword) || keyword === 'enum' || keyword === 'const') {
        return x === undefined ? [report('narrower', changed)] : y === undefined ? [report('wider', changed)] : [{ level: 'breaking', subject, what: changed }]
      }
      return [{ level: 'breaking', subject, what: changed }]
    })
  }
}

function isTighter (keyword: string, x: number | undefined, y: number | undefined): boolean {
  if (x === undefined || y === undefined) return x === undefined
  return UPPER.has(keyword) ? y < x : y > x
}

/** Clients ignore unknown properties, but may read or send each existing one. */
function properties (
  before: Schema, after: Schema, subject: string, within: (x: Schema, y: Schema, name: string) => Change[]
): Change[] {
  return Object.keys({ ...before, ...after }).flatMap((name): Change[] => {
    const [x, y] = [before[name], after[name]]
    if (x === undefined) return [{ level: 'added', subject: `${subject}.${name}`, what: 'property added' }]
    if (y === undefined) return [{ level: 'breaking', subject: `${subject}.${name}`, what: 'property removed' }]
    return within(x, y, `.${name}`)
  })
}

type Report = (kind: 'narrower' | 'wider', what: string) => Change

/** The names of required properties. */
function required (before: string[], after: string[], report: Report): Change[] {
  return [
    ...after.filter(name => !before.includes(name)).map(name => report('narrower', `${text(name)} is now required`)),
    ...before.filter(name => !after.includes(name)).map(name => report('wider', `${text(name)} is now optional`))
  ]
}

/** A set of words: fewer words accept less. */
function sets (before: unknown[], after: unknown[], noun: string, report: Report): Change[] {
  return [
    ...before.filter(word => !after.includes(word)).map(word => report('narrower', `${noun} ${text(word)} removed`)),
    ...after.filter(word => !before.includes(word)).map(word => report('wider', `${noun} ${text(word)} added`))
  ]
}

/** The members of a union, identified by their types. */
function members (
  before: Schema[], after: Schema[], report: Report, within: (x: Schema, y: Schema, name: string) => Change[]
): Change[] {
  const named = (schemas: Schema[]) =>
    new Map(schemas.map(schema => [JSON.stringify(schema.type ?? schema.$ref), schema]))
  const [x, y] = [named(before), named(after)]
  return [
    ...sets(Array.from(x.keys()), Array.from(y.keys()), 'alternative', report),
    ...Array.from(x).flatMap(([name, schema]) => y.has(name) ? within(schema, y.get(name) as Schema, '') : [])
  ]
}

function text (value: unknown): string {
  return value === undefined ? 'none' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
}
