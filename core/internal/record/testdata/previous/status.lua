-- status: who holds the lock, or held it last.
return unchanged('status')
