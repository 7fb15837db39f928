import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { focusHeading } from '../focus.ts'
import { frameTexts } from '../frame-texts.ts'
import { Logo } from '../icon.tsx'
import { visibleName } from '../visible-name.ts'
import { PasswordForm } from './password-form.tsx'
import { Refusal } from './refusal.tsx'
import { RequestView } from './request-view.tsx'
import { SendingList } from './sending-list.tsx'
import { SharedFile } from './shared-file.tsx'
import { SharedFolder } from './shared-folder.tsx'
import { texts } from './texts.ts'
import { refreshVisit, visit, type SharedLink } from './visit.ts'

export function LinkPage () {
  const state = visit.value
  useTitle(state.kind === 'open' ? state.link.name : undefined)
  useHeadingFocus(state.kind)
  return (
    <>
      <header class='link-bar'><p class='brand'><Logo />{frameTexts.title}</p></header>
      <main id='main' class='shared' tabIndex={-1} aria-busy={state.kind === 'loading'}>
        <Content />
        <SendingList />
      </main>
    </>
  )
}

function Content () {
  const state = visit.value
  switch (state.kind) {
    case 'loading': return <Message title={frameTexts.loading} />
    case 'dead': return <Message title={texts.dead}><p class='muted'>{texts.deadHint}</p></Message>
    case 'locked': return <PasswordForm />
    case 'unreachable':
      return (
        <Message title={frameTexts.title}>
          <Refusal error={state.error} />
          <button type='button' class='primary' onClick={() => { void refreshVisit() }}>{frameTexts.tryAgain}</button>
        </Message>
      )
    case 'open': return <Shared link={state.link} />
  }
}

function Shared ({ link }: { link: SharedLink }) {
  if (link.kind === 'upload') return <RequestView link={link} />
  return link.isFolder ? <SharedFolder link={link} /> : <SharedFile link={link} />
}

function Message ({ title, children }: { title: string, children?: ComponentChildren }) {
  return <div class='card'><h1>{title}</h1>{children}</div>
}

function useTitle (name: string | undefined): void {
  useEffect(() => {
    document.title = name === undefined ? frameTexts.title : `${visibleName(name)} – ${frameTexts.title}`
  }, [name])
}

/** After the first screen, the heading of the next one gets the focus, because the focused element is gone. */
function useHeadingFocus (screen: string): void {
  const before = useRef('loading')
  useEffect(() => {
    if (before.current !== 'loading' && before.current !== screen) focusHeading('h1')
    before.current = screen
  }, [screen])
}
