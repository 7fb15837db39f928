import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { ActionButton } from './action-button.tsx'
import { claim, kindOf } from './claim.ts'
import { Dialog } from './dialog.tsx'
import { DemandDialog } from './factors/demand-dialog.tsx'
import { EntryDialog, EntryMenu, pressKey } from './files/entry-acts.tsx'
import { FilesView } from './files/files-view.tsx'
import { failed } from './files/many.ts'
import { focusHeading, focusMain } from './focus.ts'
import { providerAnswer } from './identities/provider-answer.ts'
import { Icon, Logo } from './icon.tsx'
import { IconButton } from './icon-button.tsx'
import {
  AccountView, ClaimView, FailedEntries, LeaveQuestion, LinksView, Offline, ProviderReturn, ProviderSignIn,
  SharedQuestion, TimelineView, TrashView, Unreachable
} from './later.tsx'
import { countFiles } from './kept.ts'
import { Notices } from './notices.tsx'
import { lastOf } from './paths.ts'
import { ProblemText } from './problem.tsx'
import { signIn, signOut } from './session.ts'
import { session } from './session-state.ts'
import { isProviderHere } from './settings.ts'
import { Shortcuts, showShortcuts } from './shortcuts.tsx'
import { CredentialForm, PasskeySignIn, SignIn } from './sign-in.tsx'
import { texts } from './texts.ts'
import { isUnsent, titleStart, uploads } from './uploads/upload-list.ts'
import { UploadPanel } from './uploads/upload-panel.tsx'
import { useAction } from './use-action.ts'
import { openDeletion, openFolder, view, views, type View } from './view.ts'
import { visibleName } from './visible-name.ts'

type Screen = View | 'claim' | 'loading' | 'none' | 'unreachable'

export function App () {
  return (
    <>
      <Offline />
      <Content />
      <DemandDialog />
    </>
  )
}

function Content () {
  const state = session.value
  const screen = state.kind === 'open' || state.kind === 'ended' ? view.value : state.kind
  const answer = providerAnswer.value
  useScreen(claim.value === undefined ? answer === undefined ? screen : 'none' : 'claim')
  if (claim.value !== undefined) return <ClaimView key={claim.value.secret} claim={claim.value} />
  if (answer !== undefined) return <ProviderReturn key={answer} response={answer} />
  if (state.kind === 'loading') {
    return <main class='sign-in' aria-busy='true'><p class='muted'>{texts.loading}</p></main>
  }
  if (state.kind === 'unreachable') return <Unreachable error={state.error} />
  if (state.kind === 'none') return <SignIn />
  return (
    <>
      <a class='skip' href='#main' onClick={skipToMain}>{texts.skipToMain}</a>
      <TopBar username={state.username} />
      <main id='main' tabIndex={-1}>
        {isFiles(view.value) && <FilesView key={`${view.value} ${openFolder.value}`} />}
        {view.value === 'timeline' && (
          <TimelineView key={openFolder.value} EntryDialog={EntryDialog} EntryMenu={EntryMenu} pressKey={pressKey} />
        )}
        {view.value === 'links' && <LinksView />}
        {view.value === 'trash' && <TrashView key={openDeletion.value} />}
        {view.value === 'account' && <AccountView />}
      </main>
      <UploadPanel />
      <Notices />
      {failed.value !== undefined && <FailedEntries {...failed.value} onClose={() => { failed.value = undefined }} />}
      <Shortcuts />
      <SharedQuestion />
      {state.kind === 'ended' && (
        <Dialog title={texts.sign.endedTitle}>
          <p>{texts.sign.ended}</p>
          {isProviderHere && <ProviderSignIn isOnly={!state.hasPassword} />}
          {(state.hasPassword || !isProviderHere) && (
            <>
              <CredentialForm label={texts.sign.in} isNew={false} username={state.username} action={signIn} />
              <PasskeySignIn />
            </>
          )}
          <button type='button' class='link' onClick={() => location.reload()}>{texts.sign.asAnother}</button>
        </Dialog>
      )}
    </>
  )
}

/** Whether a view lists files and folders that can be worked with. */
function isFiles (shown: View): boolean {
  return ['files', 'recent', 'starred'].includes(shown)
}

/** Sets the title of the window. After a change of view or folder, focuses the heading. */
function useScreen (screen: Screen): void {
  const isLaterOne = useRef(false)
  const name = titleOf(screen, openFolder.value)
  const title = titleStart.value + (name === undefined ? texts.title : `${name} – ${texts.title}`)
  useEffect(() => { document.title = title }, [title])
  // A layout effect, so that it comes before the effects that focus an entry of the list.
  useLayoutEffect(() => {
    if (screen === 'loading') return
    if (isLaterOne.current) focusHeading('h2')
    isLaterOne.current = true
  }, [screen, openFolder.value, openDeletion.value])
}

function titleOf (screen: Screen, folder: string): string | undefined {
  if (claim.value !== undefined) return texts.claimTitles[kindOf(claim.value)]
  if (screen === 'timeline') return texts.files.layouts.timeline
  if (screen === 'files' && folder !== '') return visibleName(lastOf(folder))
  if (screen === 'none') return texts.sign.in
  return screen in texts.views ? texts.views[screen as keyof typeof texts.views] : undefined
}

/** Does not follow the link, because the part of the address after `#` is the view. */
function skipToMain (event: MouseEvent): void {
  event.preventDefault()
  focusMain()
}

function TopBar ({ username }: { username: string }) {
  const [isAsking, setAsking] = useState(false)
  const current = view.value === 'timeline' ? 'files' : view.value
  const leaving = useAction(async () => {
    if (uploads.peek().some(isUnsent) || await countFiles(username) > 0) setAsking(true)
    else await signOut()
  })
  return (
    <>
      <header class='top-bar'>
        <h1 class='brand'><Logo /><span>{texts.title}</span></h1>
        <nav aria-label={texts.navigation}>
          {views.map(name => (
            <a key={name} href={`#${name}`} aria-current={current === name ? 'page' : undefined}>
              <Icon name={name} />{texts.views[name]}
            </a>
          ))}
        </nav>
        <div class='user'>
          <span class='username' dir='auto' title={username}>{username}</span>
          <IconButton
            icon='keyboard' label={texts.shortcuts.title} title={texts.shortcuts.title} class='quiet by-keyboard'
            onClick={showShortcuts}
          />
          <ActionButton action={leaving} class='quiet' aria-label={texts.sign.out} title={texts.sign.out}>
            <Icon name='signOut' />
          </ActionButton>
        </div>
      </header>
      <ProblemText error={leaving.error} />
      {isAsking && <LeaveQuestion onClose={() => setAsking(false)} />}
    </>
  )
}
