"""What happens by itself: dramatiq workers that Redis wakes and Postgres tells what is due."""
