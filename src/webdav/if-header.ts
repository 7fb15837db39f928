import type { StateCondition, StateList } from '../metadata/conditions.ts'
import { refuse } from './headers.ts'

/** Each may need a look-up. */
const MAX_LISTS = 100

/** A list, perhaps with the tag of its resource. Takes linear time: each alternative begins with another character. */
const LIST = /\s*(?:<([^<>\s]*)>\s*)?\(((?:[^()<>"]|<[^<>]*>|"[^"]*")*)\)/gy

const CONDITION = /\s*(?:(not)\s*)?(?:<([^<>\s]+)>|\[((?:W\/)?"[^"]*")\])/giy

/** The conditions of `If`, and the lock tokens in it. */
interface StateLists {
  readonly lists: readonly StateList[]
  /** A client submits a lock token by writing it in any place (RFC 4918 section 10.4.1). */
  readonly tokens: readonly string[]
}

/**
 * Reads `If` (RFC 4918 section 10.4). `path`: of the request, for lists without a tag. `pathOf` gives the path of a
 * tag; undefined if nothing can have it.
 * @throws malformed_request.
 */
export function parseIf (
  text: string, { path, pathOf }: { path: string | undefined, pathOf: (tag: string) => string | undefined }
): StateLists {
  const found = readAll(LIST, text.trim())
  if (found.length > MAX_LISTS) refuse(`If has more than ${MAX_LISTS} lists.`)
  const isTagged = found[0]?.[1] !== undefined
  let current = path
  const lists = found.map(([, tag, content = '']): StateList => {
    if (tag !== undefined) {
      if (!isTagged) refuse('If has lists with and without a tag.')
      current = pathOf(tag)
    }
    return { path: current, conditions: readAll(CONDITION, content.trim()).map(conditionOf) }
  })
  const tokens = lists.flatMap(({ conditions }) => conditions)
    .flatMap(condition => 'token' in condition ? condition.token : [])
  return { lists, tokens: Array.from(new Set(tokens)) }
}

function conditionOf ([, not, token, tag = '']: RegExpMatchArray): StateCondition {
  const isNegated = not !== undefined
  return token === undefined ? { isNegated, tag } : { isNegated, token }
}

/** The matches of a pattern of which the whole text consists. @throws malformed_request. */
function readAll (pattern: RegExp, text: string): RegExpMatchArray[] {
  const found = Array.from(text.matchAll(pattern))
  if (found.length === 0 || found.map(([all]) => all).join('') !== text) refuse('If is malformed.')
  return found
}
