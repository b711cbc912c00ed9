# A line of a million numbers: places, calls across the border of segments,
# newcomers, and a node that learns all of it anew.  scripts/bench-line does
# the same with ten million.

use FindBin;
use lib "$FindBin::Bin/lib";
use Ticket::Test;
use Ticket::Redis;
use Ticket::Big;

my $redis = Ticket::Redis->new(dir => temp_dir());
my $big   = Ticket::Big->new(redis => $redis, issued => 1_000_000, called => 5 * 32768 - 4);

$big->test_places;
$big->test_calls(6);
$big->test_places($big->node('other'));
$big->test_joins(20);

$big->{issued} += 20;
is $big->ask('GET', 1_000_001)->{waiting}, $big->ask('GET', 999_995)->{waiting}, 'all see the same line';

done_testing;
