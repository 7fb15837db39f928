import type { ComponentChildren } from 'preact'
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { focusMain } from '../focus.ts'
import { IconButton } from '../icon-button.tsx'
import { texts } from '../later-texts.ts'
import { listen } from '../listen.ts'
import { lastOf } from '../paths.ts'
import { detailed, hideDetails as close } from './detailed.ts'
import { entries, filesFocus, type Entry } from './entries.ts'
import { EntryDetails } from './entry-details.tsx'
import { isScattered } from './list-choice.ts'

/** Narrower windows have no room beside the list. */
const WIDE = '(width >= 64rem)'

/** The details of a file or folder, beside the list, or in a dialog if there is no room. */
export function DetailsPanel () {
  const isWide = useMedia(WIDE)
  useEffect(() => close, [])
  const found = entries.entries.value.find(({ id }) => id === detailed.value?.id)
  const isGone = found === undefined && !isScattered.value && entries.isComplete.value
  useEffect(() => { if (isGone) close() }, [isGone])
  const entry = found ?? detailed.value
  if (entry === undefined || detailed.value === undefined) return null
  if (!isWide) return <DetailsDialog key={entry.id} entry={entry} />
  return <Panel key={entry.id} title={titleOf(entry)}><EntryDetails entry={entry} /></Panel>
}

/** The same where nothing else can be done meanwhile. */
export function DetailsDialog ({ entry }: { entry: Entry }) {
  return (
    <Dialog title={titleOf(entry)} class='details-dialog' onClose={close}><EntryDetails entry={entry} /></Dialog>
  )
}

const titleOf = ({ name }: Entry) => texts.details.titleOf(lastOf(name))

function Panel ({ title, children }: { title: string, children: ComponentChildren }) {
  const id = useId()
  const panel = useRef<HTMLElement>(null)
  useLayoutEffect(() => {
    const element = panel.current
    element?.querySelector('h2')?.focus()
    return () => {
      if (element?.contains(document.activeElement) !== true) return
      // The list may be empty.
      focusMain()
      filesFocus.focus()
    }
  }, [])
  const leave = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || event.defaultPrevented) return
    event.preventDefault()
    close()
  }
  return (
    <section class='side-panel' aria-labelledby={id} ref={panel} onKeyDown={leave}>
      <header>
        <h2 id={id} tabIndex={-1} dir='auto'>{title}</h2>
        <IconButton icon='close' label={texts.close} onClick={close} />
      </header>
      {children}
    </section>
  )
}

function useMedia (query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const media = matchMedia(query)
    return listen({ change: () => setMatches(media.matches) }, media)
  }, [])
  return matches
}
