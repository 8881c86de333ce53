// The checkout is being made; without script a meta refresh does the same.
setTimeout(() => window.location.reload(), 1000);
