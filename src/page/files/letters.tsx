import { useState } from 'preact/hooks'
import { lastOf } from '../paths.ts'
import { texts } from '../texts.ts'
import { visibleName } from '../visible-name.ts'
import { entries, filesFocus, isFolder, type Entry } from './entries.ts'
import { isSearch, order } from './list-choice.ts'
import { Menu } from './menu.tsx'

/** Shorter lists are seen at a glance. */
const MIN_ENTRIES = 30

/** A button with a menu of the letters that names begin with. Each moves the view and the focus to its first name. */
export function Letters () {
  const [opener, setOpener] = useState<HTMLElement | undefined>()
  const all = entries.entries.value
  if (all.length < MIN_ENTRIES || !order.value.endsWith('natural') || isSearch.value) return null
  const jump = (entry: Entry) => filesFocus.focus({ key: entry.name, column: 0 }, 'start')
  return (
    <>
      <button
        type='button' class='quiet letters-button' aria-haspopup='menu' aria-label={texts.files.jump}
        title={texts.files.jump} onClick={event => setOpener(event.currentTarget)}
      >
        {texts.files.letters}
      </button>
      {opener !== undefined && (
        <Menu
          class='letters' label={texts.files.jump} opener={opener} onClose={() => setOpener(undefined)}
          items={lettersOf(all).map(([label, entry]) => ({ label, action: () => jump(entry) }))}
        />
      )}
    </>
  )
}

/**
 * The first characters of names, and the first entry of each. Lists are in the order of code points, so that `A` and
 * `a` are two places. Folders come before the files, and are few: they count only if there are no files.
 */
function lettersOf (all: readonly Entry[]): (readonly [letter: string, entry: Entry])[] {
  const files = all.filter(entry => !isFolder(entry))
  const letters = new Map<string, Entry>()
  for (const entry of files.length > 0 ? files : all) {
    const letter = firstOf(lastOf(entry.name))
    if (!letters.has(letter)) letters.set(letter, entry)
  }
  return Array.from(letters)
}

function firstOf (name: string): string {
  const [first = ''] = /^[^]\p{Mark}*/u.exec(name) ?? []
  return visibleName(first)
}
