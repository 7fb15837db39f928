import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

export const readReadme = () => readFile(join(root, 'README.md'), 'utf8')

/** The operator's guide. */
export const readGuide = () => readFile(join(root, 'src/deployment/operating.md'), 'utf8')

/** What is below a heading, down to the next one that is no deeper. One `#` alone begins a line that root types. */
export function sectionOf (text: string, heading: string): string {
  const [hashes = ''] = heading.split(' ')
  return text.split(`\n${heading}\n`)[1]?.split(new RegExp(`\n#{2,${hashes.length}} `))[0] ?? ''
}

/** The fenced blocks, each with its language and its lines. */
export const fencedIn = (text: string) =>
  Array.from(text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm), ([, language = '', code = '']) => ({ language, lines: code.trim().split('\n') }))

/** The fenced blocks of one language, each as its lines. */
export const blocksOf = (text: string, language: string) =>
  fencedIn(text).filter(block => block.language === language).map(({ lines }) => lines)
