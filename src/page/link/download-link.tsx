import { signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'
import { statusOf } from '../errors.ts'
import { Icon } from '../icon.tsx'
import { lastOf } from '../paths.ts'
import { describe } from './refusal.tsx'
import { texts } from './texts.ts'
import { ask, bytesAddress, bytesPath, followRefusal, linkAddress } from './visit.ts'

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
      onClick={() => { void explain(name, bytesPath(name)) }}
    >
      {children}
    </a>
  )
}

/** A link by which the browser saves a folder as a zip; `title` is its name. */
export function ZipLink ({ folder, title }: { folder: string, title: string }) {
  const query = `?folder=${encodeURIComponent(folder)}`
  // The listing is refused as the zip is, and costs the server less.
  return (
    <a
      class='button' href={`${linkAddress}/zip${query}`} download={`${title}.zip`}
      onClick={() => { void explain(`${title}.zip`, `/list${query}`) }}
    >
      <Icon name='download' />{texts.downloadAll}
    </a>
  )
}

/** The place of the failure. */
export function DownloadFailure () {
  return <div class='problem' role='alert'>{failure.value !== '' && <p>{failure}</p>}</div>
}

/** The browser does not tell the page why a download fails. If the server refuses it, it refuses `path` too. */
async function explain (name: string, path: string): Promise<void> {
  failure.value = ''
  try {
    await ask(path, { method: 'HEAD' })
  } catch (error) {
    failure.value = `${texts.downloadFailed(lastOf(name))} ${whyNot(error)}`
    followRefusal(error)
  }
}

/** Why the server refuses the bytes of a file, in one sentence. The response to `HEAD` has no code. */
export function whyNot (error: unknown): string {
  return statusOf(error) === 404 ? texts.gone : describe(error).title
}
