# The rules, the alerts and the dashboard: promtool accepts and tests them, and
# they read nothing that is not told.

use FindBin;
use lib "$FindBin::Bin/lib";
use JSON::PP ();
use Ticket::Metrics;
use Ticket::Test;

my $conf = root_dir() . '/conf';
my @rules = map { "$conf/prometheus/$_.yml" } qw(recording alerts);
my @tests = sort glob "$conf/prometheus/tests/*.yml";

my ($status, $out, $err) = run('promtool', 'check', 'rules', @rules);
is($status, 0, 'promtool check rules') or diag $out, $err;
($status, $out, $err) = run('promtool', 'check', 'config', "$conf/prometheus/prometheus.yml");
is($status, 0, 'promtool check config') or diag $out, $err;
for my $test (@tests) {
    ($status, $out, $err) = run('promtool', 'test', 'rules', $test);
    is($status, 0, 'promtool test rules ' . $test =~ s{.*/}{}r) or diag $out, $err;
}

# Series by name: t/metrics.t holds the list against what nginx tells.
my $types = known_metrics();
my %series = map { $_ => 1 } map { my $n = $_; $types->{$n} eq 'histogram' ? map { "${n}_$_" } qw(bucket sum count) : $n } keys %$types;
cmp_ok(scalar keys %series, '>', 30, 'docs/metrics.md lists metrics');
my ($recording, $alerts) = map { slurp($_) } @rules;
my @recorded = $recording =~ /^\s+- record: (\S+)$/mg;
my @alerts = $alerts =~ /^\s+- alert: (\w+)$/mg;

# Names of series in an expression or a query.
sub names {
    my ($text) = @_;
    $text =~ s/"(?:[^"\\]|\\.)*"//g;
    return $text =~ /(?<![\w:])((?:[a-z_]+:)?ticket_[a-z0-9_:]+)/g;
}

sub unknown {
    my ($text, @more) = @_;
    my %known = (%series, map { $_ => 1 } @more);
    return [grep { !$known{$_} } names($text)];
}

# Expressions of rules: what stands behind "expr:", on further lines, too.
sub expressions {
    my ($text) = @_;
    return join "\n", $text =~ /^ +expr: ((?:.*\n)(?: {10,}.*\n)*)/mg;
}

is_deeply(unknown(expressions($recording)), [], 'recording rules read metrics that are told');
is_deeply(unknown(expressions($alerts), @recorded), [], 'so do alerts');
my @read = names(expressions($recording));
cmp_ok(scalar @read, '>=', scalar @recorded, 'of which each reads one');
is_deeply([grep { $alerts !~ /alert: $_\n(?:(?!- alert:).*\n)*? +summary: .*\n(?:(?!- alert:).*\n)*? +action: / } @alerts], [],
    'each alert says what is wrong and what to do');

my $tested = join '', map { slurp($_) } @tests;
is_deeply([grep { $tested !~ /"$_"/ } @alerts], [], 'each alert is tested');
is_deeply([grep { $tested !~ /expr: \Q$_\E[\s{]/ } @recorded], [], 'each recording rule, too');
my $documented = slurp(root_dir() . '/docs/metrics.md');
is_deeply([grep { $documented !~ /^\| `$_` \|/m } @alerts], [], 'each alert is in docs/metrics.md');

my $board = JSON::PP->new->decode(slurp("$conf/grafana/ticket.json"));
cmp_ok($board->{schemaVersion}, '>=', 36, 'the dashboard is of Grafana 9 or later');
my @panels = grep { $_->{type} ne 'row' } @{$board->{panels}};
my @queries = map { $_->{expr} } map { @{$_->{targets}} } @panels;
cmp_ok(scalar @queries, '>=', 30, 'it has queries');
is_deeply([grep { !names($_) } @queries], [], 'each reads a metric');
is_deeply(unknown(join("\n", @queries, map { ref $_->{query} ? $_->{query}{query} : $_->{query} } @{$board->{templating}{list}}), @recorded),
    [], 'that is told');
my %id;
$id{$_->{id}}++ for @{$board->{panels}};
is_deeply([grep { $id{$_} > 1 } keys %id], [], 'panels have ids of their own');
is_deeply([map { $_->{title} } grep { !length($_->{title} // '') || !@{$_->{targets}} || ($_->{datasource}{uid} // '') ne '${datasource}' } @panels],
    [], 'a title, queries, and the data source that is asked for');
is_deeply([map { $_->{title} } grep { my $p = $_->{gridPos}; $p->{x} + $p->{w} > 24 } @panels], [], 'and fit the grid');
my %shown = map { $_ => 1 } names(join "\n", @queries);
is_deeply([grep { !$shown{$_} && !$shown{"${_}_bucket"} && $_ ne 'ticket_room_present' } sort keys %$types], [],
    'all metrics are shown, but for one that hardly differs from another');

# The queries are given to promtool as rules, which then reads them.
my $file = temp_dir() . '/board.yml';
open my $fh, '>', $file or die "$file: $!\n";
print {$fh} "groups:\n  - name: board\n    rules:\n";
my $n = 0;
for my $query (@queries) {
    my $text = $query =~ s/\$__rate_interval/1m/gr;
    print {$fh} '      - {record: "board:q', $n++, '", expr: ', JSON::PP->new->allow_nonref->encode($text), "}\n";
}
close $fh or die "$file: $!\n";
($status, $out, $err) = run('promtool', 'check', 'rules', $file);
is($status, 0, 'promtool reads the queries of the dashboard') or diag $out, $err;

done_testing;
