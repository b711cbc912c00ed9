package Ticket::Metrics;

# Prometheus's text format, read strictly, and what Prometheus's own tool
# says of it.

use strict;
use warnings;

use Exporter 'import';
use IPC::Open3 qw(open3);
use Ticket::Test ();

our @EXPORT = qw(read_metrics metric_types check_metrics known_metrics);

my $label_re  = qr/[a-z_]+="(?:[^"\\\n]|\\["\\n])*"/;
my $labels_re = qr/\{$label_re(?:,$label_re)*\}/;

# Returns two hashes: the values by name and labels as they stand there, the
# types by name; dies at what is not in the format.
sub _read {
    my ($text) = @_;
    my (%type, %help, %value, $current);
    $text =~ /\n\z/ or die "no newline at the end\n";
    for my $line (split /\n/, $text) {
        if ($line =~ /^# HELP ([a-z_:][a-z0-9_:]*) (\S.*)$/) {
            die "second HELP: $line\n" if $help{$1}++;
            $current = $1;
        }
        elsif (my ($name, $type) = $line =~ /^# TYPE (\S+) (counter|gauge|histogram)$/) {
            die "TYPE out of place: $line\n" if $name ne $current || $type{$name};
            die "name of a counter: $name\n" if ($type eq 'counter') != ($name =~ /_total$/);
            $type{$name} = $type;
        }
        elsif (my ($sample, $labels, $value) = $line =~ /^([a-z_:][a-z0-9_:]*)($labels_re)? ([0-9]+(?:\.[0-9]+)?|\+Inf)$/) {
            my $full = $sample . ($labels // '');
            my $of = ($type{$current} // '') eq 'histogram' ? qr/^\Q$current\E_(?:bucket|sum|count)$/ : qr/^\Q$current\E$/;
            die "sample out of place: $line\n" if $sample !~ $of || !$type{$current};
            die "sample twice: $line\n" if exists $value{$full};
            $value{$full} = $value;
        }
        else { die "not in the format: $line\n" }
    }
    return (\%value, \%type);
}

# Value by name and labels: {'ticket_room_sessions{room="show"}' => 3, ...}
sub read_metrics { return (_read($_[0]))[0] }

# Type by name.
sub metric_types { return (_read($_[0]))[1] }

# What "promtool check metrics" makes of a text: its exit status, and all that
# it says.
sub check_metrics {
    my ($text) = @_;
    my $pid = open3(my $in, my $out, undef, 'promtool', 'check', 'metrics');
    print {$in} $text;
    close $in;
    my $said = do { local $/; <$out> };
    waitpid $pid, 0;
    return ($? >> 8, $said // '');
}

# The names of docs/metrics.md, with their types: rows of "`name` | type |".
sub known_metrics {
    my $text = Ticket::Test::slurp(Ticket::Test::root_dir() . '/docs/metrics.md');
    return {$text =~ /^\| `(ticket_[a-z_]+)(?:\{[a-z,]+\})?` \| (counter|gauge|histogram) \|/mg};
}

1;
