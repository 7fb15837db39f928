// The stories of files and folders in the page, in one browser. Each has a context and an account of its own.

import './page/acts.ts'
import './page/files.ts'
import './page/folders.ts'
import './page/grid.ts'
import './page/live.ts'
import './page/many.ts'
import './page/names.ts'
import './page/previews.ts'
import './page/search.ts'
import './page/selection.ts'
import './page/trash.ts'
import './page/uploads.ts'
