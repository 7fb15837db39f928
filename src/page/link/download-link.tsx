import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { statusOf } from '../errors.ts'
import { lastOf } from '../paths.ts'
import { describe } from './refusal.tsx'
import { texts } from './texts.ts'
import { ask, bytesAddress, bytesPath, followRefusal } from './visit.ts'

/** Why the last download failed; empty if it did not. */
const failure = signal('')

interface DownloadLinkProps {
  /** The path of a file below a linked folder, or the name of a linked file. */
  name: string
  class: string
  /** The accessible name, by default the content. */
  label?: string
  /** The attributes of a control in a grid. */
  cell?: { 'data-cell': boolean, tabIndex: number }
  children: ComponentChildren
}

/** A link by which the browser saves a file, with its own progress. */
export function DownloadLink ({ name, class: className, label, cell, children }: DownloadLinkProps) {
  return (
    <a
      class={className} href={bytesAddress(name)} download={lastOf(name)} aria-label={label} title={label} {...cell}
      onClick={() => { void explain(name) }}
    >
      {children}
    </a>
  )
}

/** The place of the failure. */
export function DownloadFailure () {
  return <div class='problem' role='alert'>{failure.value !== '' && <p>{failure}</p>}</div>
}

/** The browser does not tell the page why a download fails. If the server refuses it, it refuses this request too. */
async function explain (name: string): Promise<void> {
  failure.value = ''
  try {
    await ask(bytesPath(name), { method: 'HEAD' })
  } catch (error) {
    failure.value = `${texts.downloadFailed(lastOf(name))} ${whyNot(error)}`
    followRefusal(error)
  }
}

/** Why the server refuses the bytes of a file, in one sentence. The response to `HEAD` has no code. */
export function whyNot (error: unknown): string {
  return statusOf(error) === 404 ? texts.gone : describe(error).title
}
