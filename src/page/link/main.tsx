import { render } from 'preact'
import { watchDialogs } from '../dialog-history.ts'
import { session } from '../session-state.ts'
import { LinkPage } from './link-page.tsx'
import { watchFolder } from './open-folder.ts'
import { refreshVisit } from './visit.ts'

// Nobody signs in on this page, so dialogs follow the history from the start.
session.value = { kind: 'none' }
watchDialogs()
watchFolder()
void refreshVisit()
render(<LinkPage />, document.body)
