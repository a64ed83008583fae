# Says the time every $EVERY seconds, until it is told to stop.
trap 'echo "stopping at $(date -u +%T)"; kill "$waiting" 2>/dev/null; exit 0' TERM
while :; do
  echo "it is $(date -u +%T) UTC"
  sleep "${EVERY:-10}" &
  waiting=$!
  wait "$waiting"
done
