import { changesBetween, type Change, type Document } from './changes.ts'

const UNRELEASED = '## Unreleased'

const HEADINGS: { level: Change['level'], heading: string }[] = [
  { level: 'breaking', heading: 'Breaking' },
  { level: 'added', heading: 'Added' },
  { level: 'changed', heading: 'Changed' }
]

/** Rewrites the unreleased section at the top of the changelog; released sections stay as they are. */
export function withUnreleased (changelog: string, changes: Change[]): string {
  const [title = '', ...sections] = changelog.split(/^(?=## )/m)
  const released = sections.filter(section => !section.startsWith(UNRELEASED))
  const unreleased = changes.length === 0 ? [] : [`${UNRELEASED}\n\n${listOf(changes)}`]
  return `${[title, ...unreleased, ...released].map(part => part.trimEnd()).join('\n\n')}\n`
}

/** Moves the unreleased changes under a version and a date. */
export function withRelease (changelog: string, { version, day }: { version: string, day: string }): string {
  return changelog.replace(UNRELEASED, `## ${version} (${day})`)
}

function listOf (changes: Change[]): string {
  return HEADINGS.map(({ level, heading }) => ({ heading, lines: changes.filter(change => change.level === level) }))
    .filter(({ lines }) => lines.length > 0)
    .map(({ heading, lines }) => `${heading}:\n\n${lines.map(({ subject, what }) => `- ${subject}: ${what}`).join('\n')}`)
    .join('\n\n')
}

/**
 * What is wrong with the version of a document, compared with the last release (Semantic Versioning 2.0.0, items 6 to
 * 8); undefined if nothing. An unchanged document may keep its version.
 */
export function versionFault (released: Document, document: Document): string | undefined {
  const changes = changesBetween(released, document)
  const breaking = changes.filter(({ level }) => level === 'breaking')
  const [was, is] = [partsOf(released), partsOf(document)]
  if (breaking.length > 0 && is[0] <= was[0]) return `${released.info.version} → ${document.info.version} breaks the contract without a new major version: ${breaking.map(({ subject, what }) => `${subject}: ${what}`).join('; ')}`
  return undefined
}

/** Why a document can't be released; undefined if it can. */
export function releaseFault (released: Document, document: Document): string | undefined {
  const [was, is] = [partsOf(released), partsOf(document)]
  const difference = [0, 1, 2].map(index => Number(is[index]) - Number(was[index])).find(step => step !== 0) ?? 0
  if (difference <= 0) return `${document.info.version} is not above ${released.info.version}, the last release`
  const isAdded = changesBetween(released, document).some(({ level }) => level === 'added')
  if (isAdded && is[0] === was[0] && is[1] === was[1]) return `${document.info.version} adds to ${released.info.version}, which asks for a new minor version`
  return versionFault(released, document)
}

function partsOf ({ info: { version } }: Document): [number, number, number] {
  const [, major, minor, patch] = /^(\d+)\.(\d+)\.(\d+)/.exec(version) ?? []
  return [Number(major), Number(minor), Number(patch)]
}
