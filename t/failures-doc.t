# The table of failures in docs/operations.md and the tests it names agree: each
# row has a test, and each test of a failure has a row.

use lib 't/lib';
use Ticket::Test;

my $root = root_dir();
my @ours = qw(redis-failure redis-sentinel redis-cluster redis-nodes);

# The blocks of a test file.
sub blocks { return slurp("$root/t/$_[0]") =~ /^subtest '([^']+)' =>/mg }

my %row;
my ($section) = slurp("$root/docs/operations.md") =~ /^## When something fails\n(.*?)(?=^## |\z)/ms;
for my $line (grep { /^\| .* \|$/ } split /\n/, $section) {
    my @cell = split /\s*\|\s*/, $line;
    next if $cell[1] =~ /^(?:case|-+)$/ || $line =~ /^\|---/;
    my ($file, $block) = ($cell[-1] // '') =~ m{^`t/([a-z-]+\.t)`(?: (.+))?$};
    ok($file && -e "$root/t/$file", "\"$cell[1]\" names a test") or next;
    my @blocks = blocks($file);
    if (defined $block) { ok((grep { $_ eq $block } @blocks), "$file has \"$block\"") }
    else                { ok(!(grep { "$_.t" eq $file } @ours), "$file stands for itself") }
    $row{"$file " . ($block // '')}++;
}

for my $file (map { "$_.t" } @ours) {
    my @blocks = blocks($file);
    cmp_ok(scalar @blocks, '>', 0, "$file has blocks");
    is($row{"$file $_"}, 1, "$file: \"$_\" has its row") for @blocks;
}

done_testing;
