import './page/factors.ts'
