// Imported here too, so that the first view is in one file: in two, it would be 2 kB more.
import './app.tsx'
import { AccountView } from './account/account-view.tsx'
import { ClaimView } from './claim-view.tsx'
import { CodeDialog } from './factors/code-dialog.tsx'
import { SetUpDialog } from './factors/set-up-dialog.tsx'
import { ChosenRemoval, LossQuestion } from './files/chosen-questions.tsx'
import { DetailsPanel } from './files/details-panel.tsx'
import { NewFolder, NewText, RemovalQuestion } from './files/entry-dialogs.tsx'
import { FailedEntries } from './files/failed-entries.tsx'
import { FirstSteps } from './files/first-steps.tsx'
import { FolderDialog } from './files/folder-dialog.tsx'
import { MissingFolder, NoEntries } from './files/no-entries.tsx'
import { Preview } from './files/preview.tsx'
import { TrashView } from './files/trash-view.tsx'
import { Versions } from './files/versions.tsx'
import { ProviderReturn } from './identities/provider-return.tsx'
import { ProviderSignIn } from './identities/provider-sign-in.tsx'
import { LinkDialog } from './links/link-dialog.tsx'
import { LinksView } from './links/links-view.tsx'
import { LeaveQuestion } from './offline/leave-question.tsx'
import { Offline } from './offline/offline.tsx'
import { Unreachable } from './offline/unreachable.tsx'
import { PhotoDialog } from './photos/photo-dialog.tsx'
import { pictureUploaded } from './pictures/small-pictures.ts'
import { TilePicture } from './pictures/tile-picture.tsx'
import { ShortcutsDialog } from './shortcuts-dialog.tsx'
import { Panel } from './uploads/panel.tsx'
import { SharedQuestion } from './uploads/shared-question.tsx'
import { TimelineView } from './timeline/timeline-view.tsx'

/** The components and functions that are not in the first view of the page. */
export const parts = {
  AccountView,
  ChosenRemoval,
  ClaimView,
  CodeDialog,
  DetailsPanel,
  FailedEntries,
  FirstSteps,
  FolderDialog,
  LeaveQuestion,
  LinkDialog,
  LinksView,
  LossQuestion,
  MissingFolder,
  NewFolder,
  NewText,
  NoEntries,
  Offline,
  Panel,
  PhotoDialog,
  Preview,
  ProviderReturn,
  ProviderSignIn,
  RemovalQuestion,
  SetUpDialog,
  SharedQuestion,
  ShortcutsDialog,
  TilePicture,
  TimelineView,
  TrashView,
  Unreachable,
  Versions,
  pictureUploaded
}
