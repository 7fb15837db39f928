import type { FunctionComponent } from 'preact'
import type { Entry } from './entries.ts'
import type { Point } from './menu.tsx'

/** What the menu of a file or folder opens. */
export type Part =
  'link' | 'request' | 'preview' | 'editor' | 'versions' | 'renaming' | 'moving' | 'copying' | 'removal'

export type Open = (kind: Part, entry: Entry) => void

/** An open menu. `opener` gets the focus back; `at` is the pointer. */
export interface OpenedMenu { readonly entry: Entry, readonly opener: HTMLElement, readonly at?: Point }

export interface EntryMenuProps extends OpenedMenu { open: Open, onClose: () => void }

export interface EntryDialogProps { kind: Part, entry: Entry, open: Open, onClose: () => void }

/** The acts on a file or folder. The timeline is given them: it is loaded late, and they need the first view. */
export interface EntryActs {
  readonly EntryMenu: FunctionComponent<EntryMenuProps>
  readonly EntryDialog: FunctionComponent<EntryDialogProps>
  /** Returns whether the key was used. */
  readonly pressKey: (key: string, entry: Entry, open: Open) => boolean
}
