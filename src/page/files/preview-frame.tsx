import type { ComponentChildren } from 'preact'
import { useLayoutEffect, useRef, useState } from 'preact/hooks'
import { Dialog } from '../dialog.tsx'
import { NEXT_KEY, PREVIOUS_KEY } from '../direction.ts'
import { FileName } from '../file-name.tsx'
import { IconButton } from '../icon-button.tsx'
import { lastOf } from '../paths.ts'
import { kindOf } from './kinds.ts'
import { useSwipe } from './swipe.ts'
import { useAhead } from './use-ahead.ts'
import { useQuiet } from './use-quiet.ts'
import { useZoom } from './use-zoom.ts'

/** What uses the arrow keys and letters itself. */
const KEY_USERS = 'input, textarea, audio, video, pre, .rich, iframe'

interface ShownFile { readonly name: string, readonly type: string, readonly size: number, readonly sha256: string }

interface PreviewFrameProps<File extends ShownFile> {
  file: File
  /** The name of the file by default. */
  title?: string
  previous?: File | undefined
  next?: File | undefined
  /** Without it, there are no steps to other files. */
  onMove?: (file: File) => void
  onClose: () => void
  closesOutside: boolean
  read: (file: File, signal: AbortSignal) => Promise<Blob>
  words: { readonly previous: string, readonly next: string, readonly details: string }
  acts: ComponentChildren
  details: ComponentChildren
  /** `address` is where the bytes of a picture are, if they were loaded ahead. */
  content: (address: string | undefined) => ComponentChildren
}

/**
 * A preview of a file, with buttons, keys and swipes for the file before and the next one. Pictures and videos fill the
 * window, and can be seen without anything over them.
 */
export function PreviewFrame<File extends ShownFile> (props: PreviewFrameProps<File>) {
  const { file, title, previous, next, onMove, onClose, closesOutside, words, acts, details, content } = props
  const kind = kindOf(file)
  const isWhole = kind === 'image' || kind === 'video'
  const [isDetailed, setDetailed] = useState(false)
  const body = useRef<HTMLDivElement>(null)
  const stage = useRef<HTMLDivElement>(null)
  const key = keyOf(file)
  const zoom = useZoom(stage, kind === 'image' ? key : undefined)
  const isQuiet = useQuiet(isWhole)
  const ahead = useLoadedAhead(props)
  const move = (target: File | undefined) => { if (target !== undefined) onMove?.(target) }
  function press (event: KeyboardEvent): void {
    const { key, target, currentTarget, altKey, ctrlKey, metaKey } = event
    const isOfOther = target instanceof Element &&
      (target.closest(KEY_USERS) !== null || target.closest('dialog') !== currentTarget)
    if (altKey || ctrlKey || metaKey || isOfOther) return
    if (zoom.press(key)) event.preventDefault()
    else if (key === PREVIOUS_KEY) move(previous)
    else if (key === NEXT_KEY) move(next)
    else if (key === 'i' && isWhole) setDetailed(!isDetailed)
  }
  useSwipe(body, { onPrevious: () => move(previous), onNext: () => move(next), isOff: zoom.isZoomed })
  // Not the button that closes it, because the controls stay while one of them has the focus.
  useLayoutEffect(() => { if (isWhole) body.current?.focus() }, [])
  const step = (icon: 'previous' | 'next', target: File | undefined) => (
    // Without a target it is only `aria-disabled`: a disabled button loses the focus.
    <IconButton icon={icon} label={words[icon]} aria-disabled={target === undefined} onClick={() => move(target)} />
  )
  // In the head of the dialog, where the steps stay whatever is shown.
  const controls = (
    <>
      {isWhole && (
        <IconButton
          icon='info' label={words.details} aria-expanded={isDetailed} onClick={() => setDetailed(!isDetailed)}
        />
      )}
      {onMove !== undefined && <>{step('previous', previous)}{step('next', next)}</>}
    </>
  )
  const look = isWhole ? `viewer ${isQuiet && !isDetailed ? 'quiet' : ''}` : 'wide preview'
  return (
    <Dialog
      title={title ?? <FileName name={lastOf(file.name)} />} class={look} onClose={onClose} onKeyDown={press}
      closesOutside={closesOutside} controls={controls}
    >
      <div class='preview-body' ref={body} tabIndex={-1}>
        {acts}
        <div class='stage' ref={stage} data-kind={kind} {...ahead.events}>{content(ahead.find(key))}</div>
        {isWhole
          ? isDetailed && <section class='side-facts' aria-label={words.details}>{details}</section>
          : details}
      </div>
    </Dialog>
  )
}

/** Loads the pictures around the shown one. */
function useLoadedAhead<File extends ShownFile> ({ file, previous, next, read }: PreviewFrameProps<File>) {
  const key = keyOf(file)
  const [loaded, setLoaded] = useState<string>()
  const neighbours = [next, previous].flatMap(file => file === undefined || kindOf(file) !== 'image'
    ? []
    : { key: keyOf(file), size: file.size, read: (signal: AbortSignal) => read(file, signal) })
  const isThere = kindOf(file) !== 'image' || loaded === key
  const find = useAhead(key, isThere, neighbours)
  return { find, events: { onLoadCapture: () => setLoaded(key) } }
}

function keyOf ({ name, sha256 }: ShownFile): string {
  return `${name} ${sha256}`
}
