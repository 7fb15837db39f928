import type { VNode } from 'preact'
import { createParts, missingDialog, MissingView } from './late-parts.tsx'
import type { Demand } from './factors/proof.ts'
import { texts } from './texts.ts'

/** They are in `parts.ts`, which only the entry of the page knows: it needs what is in the first view. */
interface Parts {
  readonly AccountView: typeof import('./account/account-view.tsx').AccountView
  readonly CodeDialog: typeof import('./factors/code-dialog.tsx').CodeDialog
  readonly EntryDetails: typeof import('./files/entry-details.tsx').EntryDetails
  readonly FolderDialog: typeof import('./files/folder-dialog.tsx').FolderDialog
  readonly LinkDialog: typeof import('./links/link-dialog.tsx').LinkDialog
  readonly LinksView: typeof import('./links/links-view.tsx').LinksView
  readonly NewFolder: typeof import('./files/entry-dialogs.tsx').NewFolder
  readonly Preview: typeof import('./files/preview.tsx').Preview
  readonly RemovalQuestion: typeof import('./files/entry-dialogs.tsx').RemovalQuestion
  readonly SetUpDialog: typeof import('./factors/set-up-dialog.tsx').SetUpDialog
  readonly ShortcutsDialog: typeof import('./shortcuts-dialog.tsx').ShortcutsDialog
  readonly TrashView: typeof import('./files/trash-view.tsx').TrashView
  readonly UnfinishedList: typeof import('./uploads/unfinished-list.tsx').UnfinishedList
  readonly UploadRows: typeof import('./uploads/upload-rows.tsx').UploadRows
  readonly Versions: typeof import('./files/versions.tsx').Versions
}

const { provide, load, part } = createParts<Parts>()

export { provide as provideParts, load as loadParts }

const viewOf = (title: string) => (missing: VNode) => <MissingView title={title}>{missing}</MissingView>

// In a panel or a dialog.
export const UploadRows = part('UploadRows', missing => missing)
export const UnfinishedList = part('UnfinishedList', () => <></>)
export const EntryDetails = part('EntryDetails', missing => missing)

export const AccountView = part('AccountView', viewOf(texts.views.account))
export const LinksView = part('LinksView', viewOf(texts.views.links))
export const TrashView = part('TrashView', viewOf(texts.views.trash))

const missingDemand = (missing: VNode, { demand: { cancel: onClose } }: { demand: Demand }) =>
  missingDialog(missing, { onClose })

export const CodeDialog = part('CodeDialog', missingDemand)
export const SetUpDialog = part('SetUpDialog', missingDemand)

export const FolderDialog = part('FolderDialog', missingDialog)
export const LinkDialog = part('LinkDialog', missingDialog)
export const NewFolder = part('NewFolder', missingDialog)
export const Preview = part('Preview', missingDialog)
export const RemovalQuestion = part('RemovalQuestion', missingDialog)
export const ShortcutsDialog = part('ShortcutsDialog', missingDialog)
export const Versions = part('Versions', missingDialog)
