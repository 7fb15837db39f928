import './page/files.ts'
import './page/folders.ts'
import './page/grid.ts'
