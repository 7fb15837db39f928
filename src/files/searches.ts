import type { EventEmitter } from 'node:events'
import type { Search } from '../metadata/records.ts'
import { invalidField } from '../problems.ts'
import { folderOrRoot, getName } from './names.ts'

/** Most words to search for at once. */
export const MAX_WORDS = 10

interface SearchQuery {
  readonly folder?: string
  readonly contains?: string
  readonly words?: string
  readonly below?: boolean
}

/** What a query searches for, and where; undefined if it does not search. @throws validation_failed, not_found. */
export function searchOf (
  { words, contains, below = false, folder }: SearchQuery
): Pick<Search, 'texts' | 'folder' | 'isBelow'> | undefined {
  if (below && words === undefined) throw invalidField('below', 'needs `words`')
  if (words !== undefined && contains !== undefined) throw invalidField('words', 'can\'t be combined with `contains`')
  const texts = words === undefined ? [contains].filter(text => text !== undefined) : wordsIn(words)
  if (texts.length === 0) return undefined
  const path = folder === undefined ? undefined : getName(folder, folderOrRoot)
  // Below the root is everywhere.
  return path === '' && below ? { texts, folder: undefined, isBelow: false } : { texts, folder: path, isBelow: below }
}

/** What has a star is listed, and not searched. @throws validation_failed. */
export function refuseBesideStarred (others: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(others)) {
    if (value !== undefined) throw invalidField(field, 'can\'t be combined with `starred`')
  }
}

/** @throws validation_failed unless there are some, and not too many. */
function wordsIn (text: string): string[] {
  const words = text.split(/\s+/u).filter(word => word !== '')
  if (words.length === 0) throw invalidField('words', 'has no word')
  if (words.length > MAX_WORDS) throw invalidField('words', `has more than ${MAX_WORDS} words`)
  return words
}

/** Aborted when the response is sent, or the connection closed. */
export function signalOf (response: EventEmitter): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => controller.abort())
  return controller.signal
}
