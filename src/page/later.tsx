import type { VNode } from 'preact'
import { createParts, missingDialog, MissingView } from './late-parts.tsx'
import type { Demand } from './factors/proof.ts'
import { hideDetails } from './files/detailed.ts'
import { SignInPage } from './sign-in.tsx'
import { texts } from './texts.ts'

/** They are in `parts.ts`, which only the entry of the page knows: it needs what is in the first view. */
interface Parts {
  readonly AccountView: typeof import('./account/account-view.tsx').AccountView
  readonly ChosenRemoval: typeof import('./files/chosen-questions.tsx').ChosenRemoval
  readonly ClaimView: typeof import('./claim-view.tsx').ClaimView
  readonly CodeDialog: typeof import('./factors/code-dialog.tsx').CodeDialog
  readonly DetailsPanel: typeof import('./files/details-panel.tsx').DetailsPanel
  readonly FailedEntries: typeof import('./files/failed-entries.tsx').FailedEntries
  readonly FirstSteps: typeof import('./files/first-steps.tsx').FirstSteps
  readonly FolderDialog: typeof import('./files/folder-dialog.tsx').FolderDialog
  readonly LeaveQuestion: typeof import('./offline/leave-question.tsx').LeaveQuestion
  readonly LinkDialog: typeof import('./links/link-dialog.tsx').LinkDialog
  readonly LinksView: typeof import('./links/links-view.tsx').LinksView
  readonly LossQuestion: typeof import('./files/chosen-questions.tsx').LossQuestion
  readonly MissingFolder: typeof import('./files/no-entries.tsx').MissingFolder
  readonly NewFolder: typeof import('./files/entry-dialogs.tsx').NewFolder
  readonly NewText: typeof import('./files/entry-dialogs.tsx').NewText
  readonly NoEntries: typeof import('./files/no-entries.tsx').NoEntries
  readonly Offline: typeof import('./offline/offline.tsx').Offline
  readonly Panel: typeof import('./uploads/panel.tsx').Panel
  readonly PhotoDialog: typeof import('./photos/photo-dialog.tsx').PhotoDialog
  readonly Preview: typeof import('./files/preview.tsx').Preview
  readonly ProviderReturn: typeof import('./identities/provider-return.tsx').ProviderReturn
  readonly ProviderSignIn: typeof import('./identities/provider-sign-in.tsx').ProviderSignIn
  readonly RemovalQuestion: typeof import('./files/entry-dialogs.tsx').RemovalQuestion
  readonly SetUpDialog: typeof import('./factors/set-up-dialog.tsx').SetUpDialog
  readonly SharedQuestion: typeof import('./uploads/shared-question.tsx').SharedQuestion
  readonly ShortcutsDialog: typeof import('./shortcuts-dialog.tsx').ShortcutsDialog
  readonly TilePicture: typeof import('./pictures/tile-picture.tsx').TilePicture
  readonly TimelineView: typeof import('./timeline/timeline-view.tsx').TimelineView
  readonly TrashView: typeof import('./files/trash-view.tsx').TrashView
  readonly Unreachable: typeof import('./offline/unreachable.tsx').Unreachable
  readonly Versions: typeof import('./files/versions.tsx').Versions
  readonly pictureUploaded: typeof import('./pictures/small-pictures.ts').pictureUploaded
}

const { provide, load, part } = createParts<Parts>()

export { provide as provideParts, load as loadParts }

const signInPage = (missing: VNode) => <SignInPage>{missing}</SignInPage>

export const ClaimView = part('ClaimView', signInPage)
export const ProviderReturn = part('ProviderReturn', signInPage)
export const Unreachable = part('Unreachable', signInPage)

const viewOf = (title: string) => (missing: VNode) => <MissingView title={title}>{missing}</MissingView>

// In a panel, a dialog or a view.
export const NoEntries = part('NoEntries', missing => missing)
export const MissingFolder = part('MissingFolder', missing => missing)
export const FirstSteps = part('FirstSteps', () => <></>)
export const Panel = part('Panel', missing => (
  <section class='uploads'><div class='uploads-body'>{missing}</div></section>
))
export const Offline = part('Offline', () => <></>)
export const SharedQuestion = part('SharedQuestion', () => <></>)
export const TilePicture = part('TilePicture', () => <></>)
export const ProviderSignIn = part('ProviderSignIn', missing => missing)

export const AccountView = part('AccountView', viewOf(texts.views.account))
export const LinksView = part('LinksView', viewOf(texts.views.links))
export const TimelineView = part('TimelineView', viewOf(texts.files.layouts.timeline))
export const TrashView = part('TrashView', viewOf(texts.views.trash))

const missingDemand = (missing: VNode, { demand: { cancel: onClose } }: { demand: Demand }) =>
  missingDialog(missing, { onClose })

export const CodeDialog = part('CodeDialog', missingDemand)
export const SetUpDialog = part('SetUpDialog', missingDemand)

export const ChosenRemoval = part('ChosenRemoval', missingDialog)
export const DetailsPanel = part('DetailsPanel', missing => missingDialog(missing, { onClose: hideDetails }))
export const FailedEntries = part('FailedEntries', missingDialog)
export const FolderDialog = part('FolderDialog', missingDialog)
export const LeaveQuestion = part('LeaveQuestion', missingDialog)
export const LinkDialog = part('LinkDialog', missingDialog)
export const LossQuestion = part('LossQuestion', missingDialog)
export const NewFolder = part('NewFolder', missingDialog)
export const NewText = part('NewText', missingDialog)
export const PhotoDialog = part('PhotoDialog', missingDialog)
export const Preview = part('Preview', missingDialog)
export const RemovalQuestion = part('RemovalQuestion', missingDialog)
export const ShortcutsDialog = part('ShortcutsDialog', missingDialog)
export const Versions = part('Versions', missingDialog)
