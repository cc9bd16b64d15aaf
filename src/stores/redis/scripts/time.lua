-- Answers the server's time.
return format('%.0f', time(''))
